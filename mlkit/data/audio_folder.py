"""Folders of sound files, one sub-folder a class, as batches."""

from collections.abc import Sequence

from mlkit.core.spec import whole
from mlkit.data.labelled_files import Reading, file_datasets
from mlkit.data.pipeline.elements import TensorSpec
from mlkit.data.sound import FORMATS, decode_sound, of_length, resample


def audio_dataset_from_directory(
    directory,
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names=None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    follow_links: bool = False,
    verbose=True,
):
    """Batches of the sound files in a folder, labelled by its sub-folders.

    WAV files are read by Python itself, `.flac`, `.ogg`, `.mp3` and `.aiff` files by the package soundfile.

    Args:
        directory: folder; with `labels="inferred"` each of its sub-folders is a class.
        labels: "inferred"; None for sounds alone; or a list of integer labels, one a file in the order of sorted paths.
        label_mode: "int": int32 (batch,); "categorical": one-hot float32 (batch, classes); "binary": float32 (batch, 1) of two
            classes; None: no labels.
        class_names: sub-folders to use, in the order of their labels; all of them, sorted, unless given.
        batch_size: sounds a batch; None yields single sounds.
        sampling_rate: samples a second that all sounds are brought to; as they are in the files unless given.
        output_sequence_length: samples of each sound: longer ones are cut, shorter ones get zeros at their end. Unless given, the
            sounds of a batch get as many as the longest of them has.
        ragged: must be False: there are no ragged tensors.
        shuffle: whether each pass has a new random order; else files are sorted.
        seed: seed of the order and of the split; drawn from NumPy's global generator unless given.
        validation_split: fraction of the files set aside, in (0, 1).
        subset: "training", "validation" or "both" (a pair of datasets); only with `validation_split`.
        follow_links: whether to enter folders that are symbolic links.
        verbose: whether to print how many files there are.

    Returns:
        A `Dataset` of sounds, float32 (batch, samples, channels) in [-1, 1], and labels, with the attributes `class_names` and
        `file_paths`; a pair of them for `subset="both"`.
    """
    if ragged:
        if output_sequence_length is not None:
            raise ValueError("audio_dataset_from_directory: `ragged` and `output_sequence_length` exclude one another.")
        raise NotImplementedError(
            "audio_dataset_from_directory: there are no ragged tensors. Leave `ragged` out: sounds are padded."
        )
    if sampling_rate is not None:
        sampling_rate = whole("audio_dataset_from_directory", "`sampling_rate`", sampling_rate, 1)
    if output_sequence_length is not None:
        output_sequence_length = whole("audio_dataset_from_directory", "`output_sequence_length`", output_sequence_length, 1)

    def read(path):
        samples, rate = decode_sound(path)
        samples = samples if sampling_rate is None else resample(samples, rate, sampling_rate)
        return samples if output_sequence_length is None else of_length(samples, output_sequence_length)

    return file_datasets(
        Reading(read, TensorSpec((output_sequence_length, None), "float32")),
        FORMATS,
        directory,
        labels,
        label_mode,
        class_names,
        batch_size,
        shuffle,
        seed,
        validation_split,
        subset,
        follow_links,
        verbose,
        ragged=output_sequence_length is None,
    )
