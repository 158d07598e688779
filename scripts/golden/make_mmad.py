#!/usr/bin/env python3
"""What MMAD's own summary makes of answers that are written here (pandas 3.1.1, matplotlib 3.11.2, seaborn 0.13.2).

Usage: make_mmad.py SUMMARY     SUMMARY: evaluation/examples/helper/summary.py of github.com/jam-cc/MMAD, commit 3cf2b9b
Writes tests/golden/mmad/answers.json, the answers of tests/eval/mmad_answers_test.cpp, and answers_accuracy.csv.
"""
import importlib.util
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")


def answer(i):
    defect, turned, right = i % 3 == 0, i % 4 == 1, i % 7 != 2
    yes, no = ("B", "A") if turned else ("A", "B")
    image = ("DS-MVTec/nut/image/" if i % 2 == 0 else "VisA/candle/test/") + ("bent/" if defect else "good/") + f"{i}.png"
    chosen = "" if i % 5 == 3 or i == 10 else yes if right == defect else no
    return {"image": image,
            "question": {"type": "text", "text": "Question 1: Is there any defect? \nA. Yes.\nB. No.\n"},
            "question_type": "Anomaly Detection", "correct_answer": yes if defect else no, "gpt_answer": chosen}


def main():
    folder = Path(__file__).resolve().parents[2] / "tests" / "golden" / "mmad"
    folder.mkdir(exist_ok=True)
    answers = [answer(i) for i in range(40)]
    answers = [a for a in answers if a["gpt_answer"]] + [a for a in answers if not a["gpt_answer"]]
    path = folder / "answers.json"
    path.write_text(json.dumps(answers, indent=4) + "\n")
    spec = importlib.util.spec_from_file_location("summary", sys.argv[1])
    summary = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(summary)
    summary.caculate_accuracy_mmad(str(path), show_overkill_miss=True)


main()
