"""The report on a fine-tuned model: a page, and its pictures as files."""

import os

from mlkit import visualization


def write(folder, done, found, say):
    """Write the report into a folder: the page, and where matplotlib is installed figures.

    done: `FineTuned`. found: `Predictions`. say: prints a line.
    """
    curves, matrix, wrong = visualization.learning_curves(done), found.confusion_matrix(), found.most_wrong()
    pictures = [curves, matrix, found.most_confused(), wrong]
    if len(wrong):
        pictures.append(visualization.grad_cam(done.model, wrong.images, class_names=done.class_names))
    visualization.Page("Fine-tuning", *pictures).save(os.path.join(folder, "report.html"))
    for name, picture in {"curves.png": curves, "confusion.png": matrix}.items():
        try:
            picture.save(os.path.join(folder, name))
        except ImportError as error:
            say(f"{name} was left out. {error}")
