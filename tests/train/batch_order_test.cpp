#include "train/batch_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Positions in the endless order that the batches [from, to) take.
std::vector<int64_t> positions(const BatchOrder& order, int64_t samples, int64_t from, int64_t to) {
  std::vector<int64_t> result;
  for (int64_t number = from; number < to; ++number) {
    const BatchPlace place = order.place(number);
    for (int64_t k = 0; k < place.size; ++k) result.push_back(place.epoch * samples + place.first + k);
  }
  return result;
}

TEST(BatchOrder, RepeatsWholeBatchesEachEpoch) {
  const BatchOrder order(11, 4);
  EXPECT_EQ(order.per_epoch(), 2);
  EXPECT_EQ(positions(order, 11, 1, 3), (std::vector<int64_t>{4, 5, 6, 7, 11, 12, 13, 14}));
  EXPECT_EQ(order.steps(2.5, 3), 15);
  EXPECT_DOUBLE_EQ(order.epochs(9, 3), 1.5);
}

TEST(BatchOrder, GoesOnAsBeforeWithTheSameSize) {
  BatchOrder order(11, 4);
  const BatchOrder before = order;
  order.go_on_after(before.place(2));
  for (int64_t number = 0; number < 9; ++number) EXPECT_EQ(order.place(number), before.place(number));
  EXPECT_EQ(order.steps(1.1, 7), before.steps(1.1, 7));
}

TEST(BatchOrder, LeavesNothingOutAndRepeatsNothingWithAnotherSize) {
  constexpr int64_t kSamples = 24, kEpochs = 3;
  std::vector<int64_t> all(kEpochs * kSamples);
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<int64_t>(k);
  for (const int64_t size : {1, 2, 4, 6, 8, 12, 24}) {
    const BatchOrder before(kSamples, size);
    for (const int64_t other : {1, 2, 3, 4, 6, 8, 12, 24}) {
      for (int64_t last = 0; last < 2 * before.per_epoch(); ++last) {
        BatchOrder order(kSamples, other);
        order.go_on_after(before.place(last));
        std::vector<int64_t> taken = positions(before, kSamples, 0, last + 1);
        const int64_t steps = order.steps(kEpochs, 2);
        ASSERT_EQ(steps % 2, 0);
        const std::vector<int64_t> more = positions(order, kSamples, last + 1, steps / 2);
        taken.insert(taken.end(), more.begin(), more.end());
        ASSERT_EQ(taken, all) << size << " to " << other << " after " << last;
        ASSERT_EQ(order.place(last), before.place(last));
        ASSERT_DOUBLE_EQ(order.epochs(steps, 2), kEpochs);
        ASSERT_DOUBLE_EQ(order.epochs(2 * last + 2, 2), before.epochs(2 * last + 2, 2));
        ASSERT_DOUBLE_EQ(order.epochs(2 * last + 1, 2), before.epochs(2 * last + 1, 2));
        // Once more, in the batches of the second size.
        BatchOrder again(kSamples, other);
        if (last + 2 < steps / 2) again.go_on_after(order.place(last + 2));
        for (int64_t number = last + 2; number < steps / 2; ++number) {
          ASSERT_EQ(again.place(number), order.place(number));
        }
      }
    }
  }
}

TEST(BatchOrder, EndsWithinAnEpochWhereAsked) {
  BatchOrder order(24, 8);
  order.go_on_after(BatchOrder(24, 4).place(1));
  EXPECT_EQ(order.steps(0.5, 1), 3);  // 8 samples done, then 8 of which 4 are wanted
  EXPECT_EQ(order.steps(0.1, 1), 2);  // done already
}

TEST(BatchOrder, RefusesAPlaceThatTheDataDoNotHave) {
  const BatchPlace last = BatchOrder(24, 8).place(2);
  EXPECT_THAT([&] { BatchOrder(20, 4).go_on_after(last); },
              ThrowsMessage<Error>(HasSubstr("stands at sample 24 of 24 of an epoch, but the data have 20")));
  std::map<std::string, int64_t> cursor;
  EXPECT_EQ(saved_place(cursor).number, -1);
  save_place(last, cursor);
  EXPECT_EQ(saved_place(cursor), last);
  cursor.erase("batch_end");
  EXPECT_THAT([&] { saved_place(cursor); }, ThrowsMessage<Error>(HasSubstr("lacks the counter batch_end")));
}

}  // namespace
}  // namespace lriad
