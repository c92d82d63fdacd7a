/* imse: removes noise from speech. Waveform to waveform, mono, in 32-bit floats of any level, at 16 kHz; streams take
 * other rates, too.
 *
 *   imse_error error;
 *   imse_network *network = imse_open(bytes, size, 1, &error);          bytes of a .safetensors file
 *   if (!network) fail(error.text);
 *   int status = imse_enhance(network, noisy, samples, INFINITY, enhanced, &error);
 *   imse_close(network);
 *
 * Errors: no function throws, aborts or prints. One that can fail returns a status, or a null pointer, and fills in
 * `error` where it is not null; `error` is left as it is otherwise.
 *
 * Memory: arrays stay the caller's and are needed during a call only, `weights` included. They may not overlap.
 * What a function `open`s is the caller's to `close`; null may be closed. A network is closed after its streams.
 *
 * Threads: a network may be used by any number of threads at once, a stream by one at a time. After fork() the child
 * may go on with a network, except one that another thread was using at that moment. Nothing else is shared: there is
 * no global state, and the only environment variable that is read is IMSE_KERNELS.
 *
 * The result depends neither on the number of threads nor on other calls. It may differ in its last bits between
 * instruction sets. */
#ifndef IMSE_H
#define IMSE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(IMSE_BUILDING)
#define IMSE_API __declspec(dllexport)
#elif defined(_WIN32) && !defined(IMSE_STATIC)
#define IMSE_API __declspec(dllimport)
#elif defined(__GNUC__)
#define IMSE_API __attribute__((visibility("default")))
#else
#define IMSE_API
#endif

#ifdef __cplusplus
extern "C" {
#define IMSE_NOEXCEPT noexcept
#else
#define IMSE_NOEXCEPT
#endif

/* Of this header. Functions and fields are never removed or changed within a version. */
#define IMSE_API_VERSION 1

#define IMSE_SAMPLE_RATE 16000
#define IMSE_BINS 256 /* of a spectrum */
#define IMSE_HOP 100  /* samples from one frame of a spectrum to the next */
/* Samples of a segment, see imse_enhance_segment. */
#define IMSE_SHORTEST_SEGMENT 1600
#define IMSE_LONGEST_SEGMENT 16000000

typedef enum imse_status {
  IMSE_OK = 0,
  IMSE_INVALID_ARGUMENT = 1,
  IMSE_INVALID_WEIGHTS = 2,
  IMSE_UNSUPPORTED_WEIGHTS = 3, /* no safetensors file, or that of a network that this library does not have */
  IMSE_INVALID_SIGNAL = 4,      /* samples that are not finite, or beyond 1e15 */
  IMSE_OUT_OF_MEMORY = 5,       /* or of threads */
  IMSE_UNAVAILABLE = 6,         /* the kernels that IMSE_KERNELS asks for */
  IMSE_INTERNAL = 7
} imse_status;

typedef struct imse_error {
  int32_t status;
  char text[508]; /* one line of UTF-8 that ends with a zero, cut where it is longer */
} imse_error;

typedef struct imse_network imse_network;
typedef struct imse_stream imse_stream;

/* ---- The library ---- */

/* IMSE_API_VERSION of the library; programs need that of their header or a higher one. */
IMSE_API int imse_api_version(void) IMSE_NOEXCEPT;

/* What the library was compiled from: a hash of its sources. */
IMSE_API const char* imse_fingerprint(void) IMSE_NOEXCEPT;

/* The instruction set in use: "avx512", "avx2" or "baseline". Null, with IMSE_UNAVAILABLE, where the environment
 * variable IMSE_KERNELS asks for another one that this processor or library does not have. */
IMSE_API const char* imse_instruction_set(imse_error* error) IMSE_NOEXCEPT;

/* For benchmarks: so many rounds of multiply-accumulates in registers, as fast as one core can. Returns how many. */
IMSE_API double imse_multiply_accumulate(long rounds) IMSE_NOEXCEPT;

/* ---- Networks ---- */

/* A network with its weights.
 *
 * weights, size  The content of a .safetensors file that imse wrote; any bytes may be given. Half precision (F16, BF16)
 *                is taken, too, and computed with in 32 bits.
 * threads        Threads that share the work of one call, the caller's included: 1 to 1024. */
IMSE_API imse_network* imse_open(const void* weights, size_t size, int threads, imse_error* error) IMSE_NOEXCEPT;

IMSE_API void imse_close(imse_network* network) IMSE_NOEXCEPT;

typedef struct imse_description {
  int32_t channels, blocks, bins, threads;
  int64_t parameters;
} imse_description;

IMSE_API void imse_describe(const imse_network* network, imse_description* description) IMSE_NOEXCEPT;

/* A text of the weights' metadata, such as "license", or null. It lasts as long as the network. */
IMSE_API const char* imse_metadata(const imse_network* network, const char* key) IMSE_NOEXCEPT;

/* ---- Recordings ---- */

/* Enhance a recording of any length, as `imse enhance` does: in overlapping segments of about 2 to 4 s, which are
 * cross-faded.
 *
 * noisy                 [samples]
 * attenuation_limit_db  The most by which noise is turned down, from 0 up; INFINITY for no limit.
 * enhanced              [samples] */
IMSE_API int imse_enhance(imse_network* network, const float* noisy, size_t samples, float attenuation_limit_db,
                          float* enhanced, imse_error* error) IMSE_NOEXCEPT;

/* The segments of imse_enhance: how many there are for a length, and where the i-th is. Its output is used from `begin`
 * on, and there fades in, over IMSE_FADE samples, from the one before: by half a period of a cosine. A recording that
 * is shorter than its one segment is continued by its mirror image, repeated as often as it takes. */
#define IMSE_FADE 1600
IMSE_API size_t imse_segments(size_t samples) IMSE_NOEXCEPT;
IMSE_API int imse_segment(size_t samples, size_t i, size_t* start, size_t* length, size_t* begin) IMSE_NOEXCEPT;

/* Enhance one segment, for callers that cut recordings and share the segments among processes themselves.
 *
 * noisy      [samples], IMSE_SHORTEST_SEGMENT to IMSE_LONGEST_SEGMENT of them
 * enhanced   [samples]
 * high_band  [samples] or null: the gain, 0 to 1, for what the recording has above 8 kHz. */
IMSE_API int imse_enhance_segment(imse_network* network, const float* noisy, size_t samples, float* enhanced,
                                  float* high_band, imse_error* error) IMSE_NOEXCEPT;

/* The same for a recording of any rate from 8000 to 192000 Hz: each part is what one segment makes of it. So much is
 * needed of the recording at once, and no more is computed than for the whole.
 *
 * Part i needs the recording's samples [start, stop) and gives those of the enhanced one in [begin, end). Over its
 * first `fade` ones it fades in, by half a period of a cosine, from the last ones of the part before. */
typedef struct imse_part {
  size_t start, stop, begin, end, fade;
} imse_part;
IMSE_API size_t imse_parts(int sample_rate, size_t samples) IMSE_NOEXCEPT; /* 0 where out of range */
IMSE_API int imse_find_part(int sample_rate, size_t samples, size_t i, imse_part* part,
                            imse_error* error) IMSE_NOEXCEPT;

/* noisy     [stop - start]
 * enhanced  [end - begin] */
IMSE_API int imse_enhance_part(imse_network* network, int sample_rate, size_t samples, size_t i, const float* noisy,
                               float attenuation_limit_db, float* enhanced, imse_error* error) IMSE_NOEXCEPT;

/* ---- Streams ---- */

/* How a stream works: every `hop` samples the network enhances the newest `recomputed` ones again, and what it makes of
 * those up to `look_ahead` before the newest comes out, faded in over `fade` samples. What its norms and attentions
 * average over a whole segment are running averages here, in which a sample half a `window` ago counts 1 / e, and the
 * level is that of the last `window`. These are samples
 * at 16 kHz, whatever the rate of the stream; the first three are multiples of 400, and the hop divides 16000. */
typedef struct imse_stream_settings {
  int32_t sample_rate; /* of what goes in and comes out, in Hz: 8000 to 192000 */
  int32_t window, recomputed, hop, look_ahead, fade;
  float attenuation_limit_db; /* INFINITY for no limit */
} imse_stream_settings;

/* The settings for the best quality at a latency of at most so many milliseconds, without a limit. */
IMSE_API int imse_stream_settings_for(double latency_ms, int sample_rate, imse_stream_settings* settings,
                                      imse_error* error) IMSE_NOEXCEPT;

/* A stream of one channel, at its beginning. Several may share a network. */
IMSE_API imse_stream* imse_stream_open(imse_network* network, const imse_stream_settings* settings,
                                       imse_error* error) IMSE_NOEXCEPT;

IMSE_API void imse_stream_close(imse_stream* stream) IMSE_NOEXCEPT;

/* Samples: when n samples were fed, at least n - latency have come out. The least such number. */
IMSE_API size_t imse_stream_latency(const imse_stream* stream) IMSE_NOEXCEPT;

/* Feed any number of samples, and take those that are ready. In all, as many come out as went in, once the stream is
 * flushed, and the i-th that comes out belongs to the i-th that went in. How the input is cut into calls changes
 * nothing. After an error of the signal the stream is as before the call; after any other it has to be reset.
 *
 * noisy     [samples]
 * enhanced  with room for `samples` and the latency
 * written   becomes the number of samples in `enhanced` */
IMSE_API int imse_stream_feed(imse_stream* stream, const float* noisy, size_t samples, float* enhanced, size_t* written,
                              imse_error* error) IMSE_NOEXCEPT;

/* End a stream: its last samples come out, at most the latency, and it is at its beginning again. */
IMSE_API int imse_stream_flush(imse_stream* stream, float* enhanced, size_t* written, imse_error* error) IMSE_NOEXCEPT;

/* Back to the beginning; what has not come out is lost. */
IMSE_API void imse_stream_reset(imse_stream* stream) IMSE_NOEXCEPT;

/* ---- The network alone ---- */

/* The network and the transforms around it, without what imse_enhance_segment does about levels: the network expects
 * a segment of an RMS of one.
 *
 * waveform            [samples], from 1 up
 * enhanced            [samples]
 * noisy_magnitude     [1 + samples / IMSE_HOP, IMSE_BINS] or null: compressed magnitude before ...
 * enhanced_magnitude  ... and after the network */
IMSE_API int imse_run_waveform(imse_network* network, const float* waveform, size_t samples, float* enhanced,
                               float* noisy_magnitude, float* enhanced_magnitude, imse_error* error) IMSE_NOEXCEPT;

/* The network on a spectrum, all arrays [frames, IMSE_BINS]: compressed magnitude |X|^0.3 and phase in radians; the
 * phase comes out as real and imaginary part of a number of length 1. */
IMSE_API int imse_run_spectrum(imse_network* network, const float* magnitude, const float* phase, size_t frames,
                               float* enhanced, float* real, float* imag, imse_error* error) IMSE_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
