"""The counter-based generator of include/lriad/core/random.h."""
MASK = 2**64 - 1
WORD = 2**32 - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class CounterRandom:
    def __init__(self, seed, use):
        self.key = mix(mix(seed) ^ use)

    def words(self, *counter):
        a, b, c, d = (*counter, 0, 0, 0)[:4]
        key0, key1 = self.key & WORD, self.key >> 32
        for _ in range(10):
            product0, product1 = 0xD2511F53 * a, 0xCD9E8D57 * c
            a, b, c, d = (product1 >> 32) ^ b ^ key0, product1 & WORD, (product0 >> 32) ^ d ^ key1, product0 & WORD
            key0, key1 = (key0 + 0x9E3779B9) & WORD, (key1 + 0xBB67AE85) & WORD
        return a, b, c, d

    def number(self, *counter):
        high, low, *_ = self.words(*counter)
        return high << 32 | low

    def uniform(self, *counter):
        return (self.number(*counter) >> 11) * 2.0**-53

    def below(self, n, *counter):
        return self.number(*counter) * n >> 64
