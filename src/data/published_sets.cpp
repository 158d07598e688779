#include "published_sets.h"

namespace lriad {

/// Columns: normal images of train, validation and test, defects of train and test.
const std::vector<PublishedSet>& published_sets() {
  static const std::vector<PublishedSet> sets = {
    {"MVTec-AD",
     "",
     "file lists of MVTec-AD in github.com/zhiyuanyou/UniAD, counted",
     {
         {"bottle", 209, 0, 20, 0, 63, {{"broken_large", 20}, {"broken_small", 22}, {"contamination", 21}}},
         {"cable", 224, 0, 58, 0, 92, {{"bent_wire", 13}, {"cable_swap", 12}, {"combined", 11},
          {"cut_inner_insulation", 14}, {"cut_outer_insulation", 10}, {"missing_cable", 12}, {"missing_wire", 10},
          {"poke_insulation", 10}}},
         {"capsule", 219, 0, 23, 0, 109, {{"crack", 23}, {"faulty_imprint", 22}, {"poke", 21}, {"scratch", 23},
          {"squeeze", 20}}},
         {"carpet", 280, 0, 28, 0, 89, {{"color", 19}, {"cut", 17}, {"hole", 17}, {"metal_contamination", 17},
          {"thread", 19}}},
         {"grid", 264, 0, 21, 0, 57, {{"bent", 12}, {"broken", 12}, {"glue", 11}, {"metal_contamination", 11},
          {"thread", 11}}},
         {"hazelnut", 391, 0, 40, 0, 70, {{"crack", 18}, {"cut", 17}, {"hole", 18}, {"print", 17}}},
         {"leather", 245, 0, 32, 0, 92, {{"color", 19}, {"cut", 19}, {"fold", 17}, {"glue", 19}, {"poke", 18}}},
         {"metal_nut", 220, 0, 22, 0, 93, {{"bent", 25}, {"color", 22}, {"flip", 23}, {"scratch", 23}}},
         {"pill", 267, 0, 26, 0, 141, {{"color", 25}, {"combined", 17}, {"contamination", 21}, {"crack", 26},
          {"faulty_imprint", 19}, {"pill_type", 9}, {"scratch", 24}}},
         {"screw", 320, 0, 41, 0, 119, {{"manipulated_front", 24}, {"scratch_head", 24}, {"scratch_neck", 25},
          {"thread_side", 23}, {"thread_top", 23}}},
         {"tile", 230, 0, 33, 0, 84, {{"crack", 17}, {"glue_strip", 18}, {"gray_stroke", 16}, {"oil", 18},
          {"rough", 15}}},
         {"toothbrush", 60, 0, 12, 0, 30, {{"defective", 30}}},
         {"transistor", 213, 0, 60, 0, 40, {{"bent_lead", 10}, {"cut_lead", 10}, {"damaged_case", 10},
          {"misplaced", 10}}},
         {"wood", 247, 0, 19, 0, 60, {{"color", 8}, {"combined", 11}, {"hole", 10}, {"liquid", 10}, {"scratch", 21}}},
         {"zipper", 240, 0, 32, 0, 119, {{"broken_teeth", 19}, {"combined", 16}, {"fabric_border", 17},
          {"fabric_interior", 16}, {"rough", 17}, {"split_teeth", 18}, {"squeezed_teeth", 16}}}
     }},
    {"VisA",
     "",
     "split_csv/1cls.csv of github.com/amazon-science/spot-diff, counted",
     {
         {"candle", 900, 0, 100, 0, 100, {}},
         {"capsules", 542, 0, 60, 0, 100, {}},
         {"cashew", 450, 0, 50, 0, 100, {}},
         {"chewinggum", 453, 0, 50, 0, 100, {}},
         {"fryum", 450, 0, 50, 0, 100, {}},
         {"macaroni1", 900, 0, 100, 0, 100, {}},
         {"macaroni2", 900, 0, 100, 0, 100, {}},
         {"pcb1", 904, 0, 100, 0, 100, {}},
         {"pcb2", 901, 0, 100, 0, 100, {}},
         {"pcb3", 905, 0, 101, 0, 100, {}},
         {"pcb4", 904, 0, 101, 0, 100, {}},
         {"pipe_fryum", 450, 0, 50, 0, 100, {}}
     }},
    {"VisA 2cls_fewshot",
     "2cls_fewshot",
     "split_csv/2cls_fewshot.csv of github.com/amazon-science/spot-diff, counted",
     {
         {"candle", 200, 0, 800, 20, 80, {}},
         {"capsules", 120, 0, 482, 20, 80, {}},
         {"cashew", 100, 0, 400, 20, 80, {}},
         {"chewinggum", 101, 0, 402, 20, 80, {}},
         {"fryum", 100, 0, 400, 20, 80, {}},
         {"macaroni1", 200, 0, 800, 20, 80, {}},
         {"macaroni2", 200, 0, 800, 20, 80, {}},
         {"pcb1", 201, 0, 803, 20, 80, {}},
         {"pcb2", 200, 0, 801, 20, 80, {}},
         {"pcb3", 201, 0, 805, 20, 80, {}},
         {"pcb4", 201, 0, 804, 20, 80, {}},
         {"pipe_fryum", 100, 0, 400, 20, 80, {}}
     }},
    {"VisA 2cls_highshot",
     "2cls_highshot",
     "split_csv/2cls_highshot.csv of github.com/amazon-science/spot-diff, counted",
     {
         {"candle", 600, 0, 400, 60, 40, {}},
         {"capsules", 361, 0, 241, 60, 40, {}},
         {"cashew", 300, 0, 200, 60, 40, {}},
         {"chewinggum", 302, 0, 201, 60, 40, {}},
         {"fryum", 300, 0, 200, 60, 40, {}},
         {"macaroni1", 600, 0, 400, 60, 40, {}},
         {"macaroni2", 600, 0, 400, 60, 40, {}},
         {"pcb1", 602, 0, 402, 60, 40, {}},
         {"pcb2", 601, 0, 400, 60, 40, {}},
         {"pcb3", 604, 0, 402, 60, 40, {}},
         {"pcb4", 603, 0, 402, 60, 40, {}},
         {"pipe_fryum", 300, 0, 200, 60, 40, {}}
     }},
    {"MVTec LOCO AD",
     "",
     "tables of counts in public repositories, which agree",
     {
         {"breakfast_box", 351, 62, 102, 0, 173, {{"logical_anomalies", 83}, {"structural_anomalies", 90}}},
         {"juice_bottle", 335, 54, 94, 0, 236, {{"logical_anomalies", 142}, {"structural_anomalies", 94}}},
         {"pushpins", 372, 69, 138, 0, 172, {{"logical_anomalies", 91}, {"structural_anomalies", 81}}},
         {"screw_bag", 360, 60, 122, 0, 219, {{"logical_anomalies", 137}, {"structural_anomalies", 82}}},
         {"splicing_connectors", 360, 60, 119, 0, 193, {{"logical_anomalies", 108}, {"structural_anomalies", 85}}}
     }},
    {"MPDD",
     "",
     "test: file list in github.com/Yanhui-Lee/IAD-R1, counted; train: tables in public repositories",
     {
         {"bracket_black", 289, 0, 32, 0, 47, {{"hole", 12}, {"scratches", 35}}},
         {"bracket_brown", 185, 0, 26, 0, 51, {{"bend_and_parts_mismatch", 17}, {"parts_mismatch", 34}}},
         {"bracket_white", 110, 0, 30, 0, 30, {{"defective_painting", 13}, {"scratches", 17}}},
         {"connector", 128, 0, 30, 0, 14, {{"parts_mismatch", 14}}},
         {"metal_plate", 54, 0, 26, 0, 71, {{"major_rust", 14}, {"scratches", 34}, {"total_rust", 23}}},
         {"tubes", 122, 0, 32, 0, 69, {{"anomalous", 69}}}
     }},
    {"BTAD",
     "",
     "tables of counts in public repositories, which agree",
     {
         {"01", 400, 0, 21, 0, 49, {}},
         {"02", 399, 0, 30, 0, 200, {}},
         {"03", 1000, 0, 400, 0, 41, {}}
     }},
    {"DTD-Synthetic",
     "",
     "file list in github.com/Yanhui-Lee/IAD-R1, counted; it has no training images",
     {
         {"Blotchy_099", kUnknown, 0, 20, 0, 80, {}},
         {"Fibrous_183", kUnknown, 0, 20, 0, 80, {}},
         {"Marbled_078", kUnknown, 0, 20, 0, 80, {}},
         {"Matted_069", kUnknown, 0, 20, 0, 79, {}},
         {"Mesh_114", kUnknown, 0, 36, 0, 80, {}},
         {"Perforated_037", kUnknown, 0, 20, 0, 80, {}},
         {"Stratified_154", kUnknown, 0, 20, 0, 80, {}},
         {"Woven_001", kUnknown, 0, 30, 0, 70, {}},
         {"Woven_068", kUnknown, 0, 51, 0, 79, {}},
         {"Woven_104", kUnknown, 0, 20, 0, 80, {}},
         {"Woven_125", kUnknown, 0, 20, 0, 79, {}},
         {"Woven_127", kUnknown, 0, 80, 0, 80, {}}
     }},
    {"GoodsAD",
     "",
     "README of github.com/jianzhang96/GoodsAD",
     {
         {"drink_bottle", 733, 0, 356, 0, 425, {}},
         {"drink_can", 234, 0, 147, 0, 147, {}},
         {"food_bottle", 1014, 0, 243, 0, 361, {}},
         {"food_box", 432, 0, 146, 0, 251, {}},
         {"food_package", 540, 0, 253, 0, 230, {}},
         {"cigarette_box", 183, 0, 183, 0, 246, {}}
     }}
  };
  return sets;
}

}  // namespace lriad
