"""Runs an acceptance program that makes Qwen2-VL models (step, sft, resume, export, eval) with another family's.

    python scripts/check_family.py CHECKS FAMILY PROGRAM [the program's arguments]

CHECKS is the folder of the acceptance programs (their requirements.txt has the packages), FAMILY qwen2_5_vl or qwen3_vl.
"""
import json
import runpy
import sys
from pathlib import Path

SIZES = {"vision_depth": "depth", "vision_dim": "width"}
# The programs count the tensors of two layers; each level of deepstack needs one.
TWO_LAYERS = {"qwen3_vl": {"layers": 2, "deepstack": [0, 3]}}


def main():
    checks, family, program = Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    sys.path.insert(0, str(checks))
    import families  # first: it lets the other programs load any family
    import fixtures
    import oracle

    def make_model(folder, *, layout="flat", tokenizer_dir=None, vocab=None, **options):
        sizes = TWO_LAYERS.get(family, {}) | {SIZES.get(name, name): value for name, value in options.items()}
        made = families.make_model(folder, family, layout="hub" if layout == "flat" else "saved", **sizes)
        # Its tokenizer has a few hundred tokens, and ids of its own for the ends.
        oracle.EOS_IDS = tuple(json.loads((made / "generation_config.json").read_text())["eos_token_id"])
        return made

    def talker(folder, images_root, *, layout="flat", tied=False, **options):
        return families.talker(folder, family, images_root, **options)

    def make_taught_model(folder, answers, **options):
        return families.teach(folder, family, answers, **options)

    load_processor = oracle.load_processor

    def pil_processor(folder, backend=None):
        # The programs' images need no resizing by factors of 28, but by Qwen3-VL's 32; the default here is Pillow's.
        return load_processor(folder, backend or "pil")

    oracle.load_processor = pil_processor
    oracle.write_model = families.save_weights
    oracle.make_model = fixtures.tiny_model = make_model
    oracle.make_taught_model = make_taught_model
    fixtures.talker = talker
    sys.argv = [str(checks / f"{program}.py"), *sys.argv[4:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
