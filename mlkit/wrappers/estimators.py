"""A model as an estimator of scikit-learn, for its pipelines, searches and scores.

Where scikit-learn is missing, the classes can be named but not made: they say how to install it.
"""

from typing import Any

import numpy as np

from mlkit.models.clone import clone_model
from mlkit.models.model import Model

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError:
    BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin = (type(name, (), {}) for name in "abcd")
    validate_data = None


class _Estimator(BaseEstimator):
    """What the estimators share.

    Args:
        model: a compiled model, which is copied for each fit, or a function ``(X, y, **model_kwargs)`` that returns one.
        warm_start: go on with the weights of the last fit.
        model_kwargs: for the function.
        fit_kwargs: for `Model.fit`.

    After `fit`: `model_`, the fitted model, and `history_`.
    """

    def __init__(self, model, warm_start: bool = False, model_kwargs=None, fit_kwargs=None):
        if validate_data is None:
            raise ImportError(f"{type(self).__name__} needs scikit-learn, 1.6 or newer: pip install 'scikit-learn>=1.6'")
        self.model, self.warm_start, self.model_kwargs, self.fit_kwargs = model, warm_start, model_kwargs, fit_kwargs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self):
        return type(self)(self.model, self.warm_start, self.model_kwargs, self.fit_kwargs)  # `fit` copies the model

    def fit(self, X, y, **kwargs: Any):
        """Fit the model. X: (samples, features). y: (samples,) or (samples, outputs). kwargs: for `Model.fit`, before `fit_kwargs`.

        Targets that are a single column count as (samples,), with scikit-learn's warning.
        """
        X, y = validate_data(self, X, y, multi_output=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = self._encoded(y)
        model = self._model_for(X, targets)
        if not model.compiled or not model.loss or not model.optimizer:
            raise RuntimeError("Given model needs to be compiled, and have a loss and an optimizer.")
        self.history_ = model.fit(X, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _model_for(self, X, y):
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if not isinstance(self.model, Model):
            return self.model(X=X, y=y, **(self.model_kwargs or {}))
        if self.warm_start:
            return self.model
        made = clone_model(self.model)
        if self.model.compiled:
            made.compile_from_config(self.model.get_compile_config())
        return made

    def predict(self, X):
        """Predictions for (samples, features)."""
        return self._decoded(self._outputs(X))

    def _outputs(self, X):
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False), verbose=0)

    def _encoded(self, y):
        type_of_target(y, raise_unknown=True)
        self._is_flat = y.ndim == 1
        return y.reshape(-1, 1) if self._is_flat else y

    def _decoded(self, outputs):
        return outputs[:, 0] if self._is_flat and outputs.ndim == 2 else outputs


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A model as a classifier. Targets are one class a sample; the model gets them one-hot.

    Args:
        model: a compiled model, which is copied for each fit, or a function ``(X, y, **model_kwargs)`` that returns one.
        warm_start: go on with the weights of the last fit.
        model_kwargs: for the function.
        fit_kwargs: for `Model.fit`.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _encoded(self, y):
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Only binary and multiclass target types are supported. Target type: {kind}")
        y = np.reshape(y, -1)
        self.classes_ = np.unique(y)
        if len(self.classes_) == 1:
            raise ValueError("Classifier can't train when only one class is present.")
        self._encoder = OneHotEncoder(sparse_output=False).fit(y[:, None])
        return self._encoder.transform(y[:, None])

    def _decoded(self, outputs):
        return self._encoder.inverse_transform(outputs)[:, 0]

    def decision_function(self, X):
        """The model's outputs."""
        return self._outputs(X)


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A model as a regressor.

    Args:
        model: a compiled model, which is copied for each fit, or a function ``(X, y, **model_kwargs)`` that returns one.
        warm_start: go on with the weights of the last fit.
        model_kwargs: for the function.
        fit_kwargs: for `Model.fit`.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A model as a step of a pipeline: what it makes of its inputs are the features of the next step.

    Args:
        model: a compiled model, which is copied for each fit, or a function ``(X, y, **model_kwargs)`` that returns one.
        warm_start: go on with the weights of the last fit.
        model_kwargs: for the function.
        fit_kwargs: for `Model.fit`.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X):
        """The model's outputs for (samples, features)."""
        return self._outputs(X)
