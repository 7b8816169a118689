"""The report on a fine-tuned model: a page, and its pictures as files."""

import os

from mlkit import visualization


def write(folder, done, found, say):
    """Write the report into a folder: the page, and where matplotlib is installed figures.

    done: `FineTuned`. found: `Predictions`, or None where the task is not classification. say: prints a line.
    """
    figures = {"curves.png": visualization.learning_curves(done)}
    shown = list(figures.values())
    if found is not None:
        figures["confusion.png"], wrong = found.confusion_matrix(), found.most_wrong()
        shown.append(found.report())
        if len(wrong):
            shown.append(visualization.grad_cam(done.model, wrong.images, class_names=done.class_names))
        found.to_csv(os.path.join(folder, "predictions.csv"))
    visualization.Page("Fine-tuning", *shown).save(os.path.join(folder, "report.html"))
    for name, picture in figures.items():
        try:
            picture.save(os.path.join(folder, name))
        except ImportError as error:
            say(f"{name} was left out. {error}")
