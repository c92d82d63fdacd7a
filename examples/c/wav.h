/* WAV files of 16-bit PCM or 32-bit floats, read and written in blocks: as much as an example needs. */
#ifndef WAV_H
#define WAV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WAV_MOST_CHANNELS 64

typedef struct wav_error {
  char text[512]; /* one line */
} wav_error;

typedef struct wav_format {
  unsigned char chunk[40]; /* "fmt " as it is in the file, with the layout of the channels */
  uint32_t chunk_size;
  int channels, sample_rate;
  bool floats;
} wav_format;

typedef struct wav_reader {
  FILE* file;
  wav_format format;
  size_t frames; /* samples of each channel */
} wav_reader;

typedef struct wav_writer {
  FILE* file;
  wav_format format;
  const char* path;
  char* temporary; /* what is written, until wav_finish gives it its name */
} wav_writer;

/* All return false where that cannot be done, and say why in `error`. What was opened has to be closed, what was
 * created to be finished or abandoned; a path has to last until then. */

bool wav_open(wav_reader* reader, const char* path, wav_error* error);
void wav_close(wav_reader* reader);

/* Read the next frames: channel c to samples[c * stride], ... */
bool wav_read(wav_reader* reader, float* samples, size_t stride, size_t frames, wav_error* error);

/* Begin a file of as many frames, whose writing follows. */
bool wav_create(wav_writer* writer, const char* path, const wav_format* format, size_t frames, wav_error* error);
bool wav_write(wav_writer* writer, const float* samples, size_t stride, size_t frames, wav_error* error);

/* The file appears under its name, in place of one that was there. */
bool wav_finish(wav_writer* writer, wav_error* error);

/* Nothing is left of the file. */
void wav_abandon(wav_writer* writer);

#endif
