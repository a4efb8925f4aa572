"""`cases.csv`: a row for each structure of each case, for spreadsheets and statistics."""

import csv
import io
import math

from segforge.evaluation.summary import Summary

CASES = "cases.csv"


def case_table(summary: Summary) -> str:
    """The file's content; a cell is empty where a metric is not defined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metrics = list(next(iter(summary.mean.values())))
    writer.writerow(["case", "structure", "key", *metrics, "reference_file", "prediction_file"])
    for case in summary.metric_per_case:
        for key, structure in summary.labels.items():
            scores = case.metrics[key].scores
            cells = ["" if math.isnan(scores[name]) else scores[name] for name in metrics]
            writer.writerow([case.case, structure, key, *cells, case.reference_file, case.prediction_file])
    return text.getvalue()
