"""`rtdetr-explained models`."""

import json

from rtdetr_explained import cli


def test_models_lists_every_model(capsys):
    assert cli.main(["models"]) == 0
    table = capsys.readouterr().out
    assert cli.main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"nano", "rtdetrv2_r18vd", "rtdetrv2_r34vd", "rtdetrv2_r50vd_m", "rtdetrv2_r50vd", "rtdetrv2_r101vd"} <= {
        row["name"] for row in rows
    }
    assert all(row["name"] in table for row in rows)
