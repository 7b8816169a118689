"""Labels that are no longer sure: mixed with those of other images, or smoothed."""

import dataclasses

from mlkit.data.transformations import Transformations
from mlkit.finetuning.labelled import Labelled


def softened(data: Labelled, mixup: float, label_smoothing: float, seed: int) -> Labelled:
    """The data with the lines of code that make its labels one-hot and mix its images, where that is wanted.

    Raises ValueError for labels that cannot be.
    """
    if not mixup and not label_smoothing:
        return data
    if data.head.task != "classification" or data.head.units < 2:
        raise ValueError("finetune: `mixup` and `label_smoothing` are for one class of several a photo. Leave them out.")
    code = list(data.code)
    if data.head.loss == "sparse_categorical_crossentropy":
        if not data.is_arrays or not isinstance(data.validation, (tuple, list)):
            raise ValueError(
                "finetune: for `mixup` and `label_smoothing` a data set must yield one-hot labels (label_mode='categorical')."
            )
        code += [f"{name} = {name}[0], keras.utils.to_categorical({name}[1], {data.head.units})" for name in ("train", "val")]
    if mixup:
        if data.is_arrays:
            many = f"shuffle({len(data.train[1])}, seed={seed}).batch({data.batch_size})"
            code.append(f"train = keras.data.Dataset.from_tensor_slices(tuple(train)).{many}")
        elif not isinstance(data.train, Transformations):
            raise ValueError("finetune: `mixup` is for folders, arrays and `Dataset`s: mix the images of other data yourself.")
        code.append(f"train = train.augment(layers.MixUp({mixup!r}), seed={seed})")
    head = dataclasses.replace(data.head, loss="categorical_crossentropy")
    return dataclasses.replace(data, code=code, head=head, mixed=bool(mixup))
