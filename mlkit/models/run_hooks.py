"""RunHooks: what callbacks ask of a model while its `fit` is under way."""

from mlkit.core.deferred import Deferred
from mlkit.models import run_state
from mlkit.models.training import Training

nonfinite, profile = Deferred("mlkit.models.nonfinite"), Deferred("mlkit.models.profile")  # few programs ask for them


class RunHooks:
    """The part of `Trainer` that callbacks know: its steps noted, explained, profiled and kept."""

    _training: Training
    _initial_epoch: int  # from which the `fit` under way goes on

    def _begin_noted_step(self):
        """Note what leads back to the values before the batches that `fit` runs next."""
        nonfinite.begin_step(self, self._training.run)

    def _end_noted_step(self):
        """The batches have run."""
        self._training.run.journal.end_step()

    def _explain_nonfinite(self):
        """In words, where the batches noted last give a number that is not finite; variables have the values from before them."""
        return nonfinite.rewound_and_explained(self, self._training.run)

    def _profile_last_batch(self, runs):
        """A `ProfileReport` of a training step on the batch that `fit` has run last."""
        return profile.profile(self, *self._training.run.group[-1], training=True, runs=runs)

    def _captured_run(self, epoch):
        """What writes all that decides how the `fit` under way goes on, with this epoch, into a file; see `run_state.captured`."""
        return run_state.captured(self, epoch)

    def _load_run(self, path):
        """Let the `fit` under way go on from what `_captured_run` has captured."""
        self._initial_epoch = run_state.load(self, path)
