// The network's fixed sizes, which no file of weights states. `imse.nn` has the same ones; a test compares the two.
#pragma once

namespace imse {

// Channels of an attention head.
constexpr int HEAD_SIZE = 8;
// Hidden channels of a feed-forward over its channels, rounded down.
constexpr double FEED_FORWARD_FACTOR = 2.66;
// Layers of a dense block.
constexpr int DENSE_DEPTH = 4;
// Taps of IDConv's bands along time and along frequency.
constexpr int BAND = 11;
// Added to the variance in every norm.
constexpr float NORM_EPSILON = 1e-5;
// Added to the magnitude that MALA divides by.
constexpr float ATTENTION_EPSILON = 1e-6;
// Frequency bins come in multiples of this: three halvings down to the width of the widest vector, 16 floats.
constexpr int BINS_MULTIPLE = 128;
// Resolutions of the U-Net.
constexpr int LEVELS = 3;
// Rotary embedding: pairs of a head's channels that rotate along each axis, and their speeds in radians per position.
constexpr int ROTARY_PAIRS = HEAD_SIZE / 4;
constexpr float ROTARY_SPEEDS[ROTARY_PAIRS] = {1.0f, 1e-4f};

}  // namespace imse
