"""What the benchmark of rewards compares: modes by the settings that they add to base.yaml, and the sizes of the benchmark."""

# The four that users choose between.
MODES = {
    "lriad_paper": ["preset=lriad_paper"],
    "visual_rft": ["preset=visual_rft"],
    "trl_dapo": ["preset=trl_dapo", "reward.answer=accuracy"],
    "lriad": ["preset=lriad"],
}

# On the advantage, where normalisation cannot undo a weight.
WEIGHT = ["reward.answer=focal", "reward.focal.where=advantage", "reward.focal.p=group_mean"]

# Single changes on the way from the printed method to ours, and around ours; 10% defects only.
ABLATIONS = {
    "lriad_paper, weight on the advantage, f N/D": ["preset=lriad_paper", *WEIGHT, "reward.focal.f_mode=dataset"],
    "lriad_paper, class_balanced": ["preset=lriad_paper", "data.sampler=class_balanced"],
    "lriad, shuffled": ["preset=lriad", "data.sampler=shuffle"],
    "lriad, shuffled, f N/D": ["preset=lriad", "data.sampler=shuffle", *WEIGHT, "reward.focal.gamma=0", "reward.focal.f_mode=dataset"],
    "lriad, f N/D": ["preset=lriad", *WEIGHT, "reward.focal.gamma=0", "reward.focal.f_mode=dataset"],
    "lriad, f by running recall": ["preset=lriad", *WEIGHT, "reward.focal.gamma=0", "reward.focal.f_mode=running_recall", "reward.focal.f_cap=4"],
    "lriad, weight (1-p)^0.5": ["preset=lriad", *WEIGHT, "reward.focal.gamma=0.5"],
    "lriad, weight (1-p)^2": ["preset=lriad", *WEIGHT, "reward.focal.gamma=2"],
    "lriad, equal groups drawn again": ["preset=lriad", "grpo.zero_variance=resample"],
    "lriad, groups without a right answer drawn again": ["preset=lriad", "grpo.zero_variance=resample_wrong"],
    "lriad, a missed defect costs 3": ["preset=lriad", "grpo.scale_rewards=batch", "reward.missed_cost=3"],
}

# Must gain nothing, or the format alone: see tests/bench/README.md.
CONTROLS = {
    "lriad, labels shuffled": ["preset=lriad"],
    "lriad, answers unpaid": ["preset=lriad", "reward.answer_weight=0"],
}

RATES = ["3e-3", "1e-2", "3e-2"]
RARE = {"10%": 0.10, "3%": 0.03}


class Sizes:
    """Images per object, optimizer steps and seeds of the whole benchmark."""
    cold_images, cold_steps = 1000, 900
    shy_images, shy_steps = 400, 100
    train, validation, test = 500, 50, 150
    steps, eval_steps = 60, 5
    seeds, ablation_seeds, tuning_seeds = 5, 3, 2


class RealSizes(Sizes):
    """Photographs: what there is of them."""
    cold_steps = 240
    steps, eval_steps = 60, 10
    seeds, tuning_seeds = 3, 1


class Trial(Sizes):
    """Only to see that all runs."""
    cold_images, cold_steps = 12, 6
    shy_images, shy_steps = 12, 2
    train, validation, test = 20, 4, 4
    steps, eval_steps = 4, 2
    seeds, ablation_seeds, tuning_seeds = 3, 2, 1


PROMPTS, GENERATIONS = 8, 8  # of a step
