#define _POSIX_C_SOURCE 200809L

#include "wav.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PCM = 1, IEEE_FLOAT = 3, EXTENSIBLE = 0xFFFE };

static bool fail(wav_error* error, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  return false;
}

static uint32_t number(const unsigned char* bytes, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; i++) value |= (uint32_t)bytes[i] << 8 * i;
  return value;
}

static void put_number(unsigned char* bytes, int count, uint32_t value) {
  for (int i = 0; i < count; i++) bytes[i] = (unsigned char)(value >> 8 * i);
}

static int sample_bytes(const wav_format* format) { return format->floats ? 4 : 2; }
static size_t frame_bytes(const wav_format* format) { return (size_t)format->channels * sample_bytes(format); }

/* ---- Reading ---- */

static bool parse_format(wav_format* format, wav_error* error) {
  const unsigned char* chunk = format->chunk;
  uint32_t encoding = number(chunk, 2);
  if (encoding == EXTENSIBLE && format->chunk_size >= 26) encoding = number(chunk + 24, 2);
  const uint32_t channels = number(chunk + 2, 2), sample_rate = number(chunk + 4, 4), bits = number(chunk + 14, 2);
  if (channels < 1 || channels > WAV_MOST_CHANNELS)
    return fail(error, "%u channels; 1 to %d can be read", (unsigned)channels, WAV_MOST_CHANNELS);
  format->channels = (int)channels;
  format->sample_rate = (int)sample_rate;
  format->floats = encoding == IEEE_FLOAT && bits == 32;
  if (!format->floats && !(encoding == PCM && bits == 16))
    return fail(error, "%u bits of encoding %u; 16-bit PCM and 32-bit floats can be read: sox IN.wav -b 16 OUT.wav",
                (unsigned)bits, (unsigned)encoding);
  if (number(chunk + 12, 2) != frame_bytes(format)) return fail(error, "a damaged WAV file");
  return true;
}

/* Read on, to the samples. */
static bool find_samples(wav_reader* reader, wav_error* error) {
  unsigned char head[12];
  if (fread(head, 1, 12, reader->file) < 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
    return fail(error, "not a WAV file");
  wav_format* format = &reader->format;
  bool known = false;
  while (fread(head, 1, 8, reader->file) == 8) {
    const uint32_t size = number(head + 4, 4);
    long rest = (long)(size / 2 + size % 2) * 2; /* chunks begin at even positions */
    if (memcmp(head, "data", 4) == 0) {
      if (!known) return fail(error, "a damaged WAV file");
      const long begin = ftell(reader->file);
      if (begin < 0 || fseek(reader->file, 0, SEEK_END) != 0) return fail(error, "%s", strerror(errno));
      const long end = ftell(reader->file);
      if (end < begin || fseek(reader->file, begin, SEEK_SET) != 0) return fail(error, "%s", strerror(errno));
      /* A program that writes into a pipe does not know the size and says the most there is. */
      const unsigned long there = (unsigned long)(end - begin);
      reader->frames = (there < size ? there : size) / frame_bytes(format);
      return true;
    }
    if (memcmp(head, "fmt ", 4) == 0 && !known) {
      format->chunk_size = size < sizeof format->chunk ? size : (uint32_t)sizeof format->chunk;
      if (size < 16 || fread(format->chunk, 1, format->chunk_size, reader->file) < format->chunk_size)
        return fail(error, "a damaged WAV file");
      if (!parse_format(format, error)) return false;
      known = true;
      rest -= (long)format->chunk_size;
    }
    if (rest < 0 || fseek(reader->file, rest, SEEK_CUR) != 0) break;
  }
  return fail(error, "a WAV file without samples");
}

bool wav_open(wav_reader* reader, const char* path, wav_error* error) {
  *reader = (wav_reader){.file = fopen(path, "rb")};
  if (!reader->file) return fail(error, "%s", strerror(errno));
  if (find_samples(reader, error)) return true;
  wav_close(reader);
  return false;
}

void wav_close(wav_reader* reader) {
  if (reader->file) fclose(reader->file);
  reader->file = NULL;
}

bool wav_read(wav_reader* reader, float* samples, size_t stride, size_t frames, wav_error* error) {
  const wav_format* format = &reader->format;
  unsigned char frame[WAV_MOST_CHANNELS * 4];
  for (size_t i = 0; i < frames; i++) {
    if (fread(frame, frame_bytes(format), 1, reader->file) < 1)
      return fail(error, "%s", ferror(reader->file) ? strerror(errno) : "the file has become shorter");
    for (int c = 0; c < format->channels; c++) {
      float* sample = &samples[(size_t)c * stride + i];
      if (format->floats) {
        const uint32_t bits = number(frame + 4 * c, 4);
        memcpy(sample, &bits, sizeof bits);
      } else {
        const int value = (int)number(frame + 2 * c, 2);
        *sample = (float)(value < 32768 ? value : value - 65536) / 32768;
      }
    }
  }
  return true;
}

/* ---- Writing ---- */

static bool write_header(wav_writer* writer, uint32_t frames) {
  const wav_format* format = &writer->format;
  unsigned char header[12 + 8 + sizeof format->chunk + 12 + 8], *at = header;
  const uint32_t size = frames * (uint32_t)frame_bytes(format);
  const uint32_t before = 12 + 8 + format->chunk_size + (format->floats ? 12 : 0) + 8;
  memcpy(at, "RIFF....WAVEfmt ", 16);
  put_number(at + 4, 4, before - 8 + size);
  put_number(at + 16, 4, format->chunk_size);
  memcpy(at + 20, format->chunk, format->chunk_size);
  at += 20 + format->chunk_size;
  if (format->floats) { /* what every encoding but PCM has to have */
    memcpy(at, "fact", 4);
    put_number(at + 4, 4, 4);
    put_number(at + 8, 4, frames);
    at += 12;
  }
  memcpy(at, "data", 4);
  put_number(at + 4, 4, size);
  return fwrite(header, 1, before, writer->file) == before;
}

bool wav_create(wav_writer* writer, const char* path, const wav_format* format, size_t frames, wav_error* error) {
  *writer = (wav_writer){.format = *format, .path = path};
  wav_format* own = &writer->format;
  own->chunk_size -= own->chunk_size % 2;
  if (own->chunk_size >= 18) put_number(own->chunk + 16, 2, own->chunk_size - 18); /* of what follows in the chunk */
  if (frames > (UINT32_MAX - 128) / frame_bytes(format)) return fail(error, "longer than a WAV file can be");
  struct stat there;
  if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) return fail(error, "not a file, so it is not replaced");
  const size_t length = strlen(path) + sizeof ".part";
  writer->temporary = malloc(length);
  if (!writer->temporary) return fail(error, "not enough memory");
  snprintf(writer->temporary, length, "%s.part", path);
  writer->file = fopen(writer->temporary, "wb");
  if (writer->file && write_header(writer, (uint32_t)frames)) return true;
  fail(error, "%s", strerror(errno));
  wav_abandon(writer);
  return false;
}

bool wav_write(wav_writer* writer, const float* samples, size_t stride, size_t frames, wav_error* error) {
  const wav_format* format = &writer->format;
  unsigned char frame[WAV_MOST_CHANNELS * 4];
  for (size_t i = 0; i < frames; i++) {
    for (int c = 0; c < format->channels; c++) {
      const float sample = samples[(size_t)c * stride + i];
      if (format->floats) {
        uint32_t bits;
        memcpy(&bits, &sample, sizeof bits);
        put_number(frame + 4 * c, 4, bits);
      } else {
        const float scaled = fminf(fmaxf(sample * 32768, -32768), 32767);
        put_number(frame + 2 * c, 2, (uint32_t)lrintf(scaled));
      }
    }
    if (fwrite(frame, frame_bytes(format), 1, writer->file) < 1) return fail(error, "%s", strerror(errno));
  }
  return true;
}

bool wav_finish(wav_writer* writer, wav_error* error) {
  const int closed = fclose(writer->file); /* the last samples may not fit on the disk */
  writer->file = NULL;
#if defined(_WIN32)
  if (closed == 0) remove(writer->path); /* there, a new name must not be in use */
#endif
  const bool finished = closed == 0 && rename(writer->temporary, writer->path) == 0;
  if (!finished) {
    fail(error, "%s", strerror(errno));
    remove(writer->temporary);
  }
  free(writer->temporary);
  writer->temporary = NULL;
  return finished;
}

void wav_abandon(wav_writer* writer) {
  if (writer->file) {
    fclose(writer->file);
    remove(writer->temporary);
  }
  free(writer->temporary);
  *writer = (wav_writer){0};
}
