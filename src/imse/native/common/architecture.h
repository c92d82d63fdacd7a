// The network's fixed sizes, which no file of weights states. `imse.nn` has the same ones; a test compares the two.
#pragma once

namespace imse {

// Channels of an attention head.
constexpr int HEAD_SIZE = 8;
// Hidden channels of a feed-forward over its channels, rounded down.
constexpr double FEED_FORWARD_FACTOR = 2.66;
// Layers of a dense block.
constexpr int DENSE_DEPTH = 4;
// Each of IDConv's three convolved branches has this fraction of the channels.
constexpr int BRANCH_DIVISOR = 8;
// Taps of IDConv's bands along time and along frequency.
constexpr int BAND = 11;
// Frames and bins of the kernel of LePE, MALA's local embedding.
constexpr int LEPE_SIZE = 5;
// Added to the variance in every norm.
constexpr float NORM_EPSILON = 1e-5;
// Added to the magnitude that MALA divides by.
constexpr float ATTENTION_EPSILON = 1e-6;
// Frequency bins come in multiples of this: three halvings down to the width of the widest vector, 16 floats.
constexpr int BINS_MULTIPLE = 128;
// Resolutions of the U-Net.
constexpr int LEVELS = 3;
// The largest mask of the magnitude.
constexpr float MASK_CEILING = 2;
// Rotary embedding: pairs of a head's channels that rotate along each axis. Their speeds in radians per position fall
// from 1 to 1 / ROTARY_BASE in equal ratios.
constexpr int ROTARY_PAIRS = HEAD_SIZE / 4;
constexpr float ROTARY_BASE = 10000;
constexpr float ROTARY_SPEEDS[] = {1, 1 / ROTARY_BASE};
static_assert(ROTARY_PAIRS == 2, "a speed for each pair");

}  // namespace imse
