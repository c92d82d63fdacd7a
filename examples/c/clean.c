/* Removes the noise from a WAV file: a program to start from, see README.md. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imse.h"
#include "wav.h"

static const char USAGE[] =
    "usage: imse-clean --weights FILE [options] NOISY.wav CLEAN.wav\n"
    "\n"
    "  --weights FILE          the network: a .safetensors file, such as default.safetensors of imse\n"
    "  --threads N             processor threads (default: 1)\n"
    "  --attenuation-limit DB  the most by which noise is turned down (default: no limit)\n"
    "  --stream LATENCY_MS     as live: in blocks of 10 ms, in constant memory, with a latency of at most so much\n"
    "\n"
    "16-bit PCM or 32-bit floats, up to 64 channels, 16000 Hz; with --stream 8000 to 192000 Hz. CLEAN.wav is replaced "
    "if\n"
    "it exists.\n";

typedef struct options {
  const char *weights, *noisy, *clean;
  int threads;
  float attenuation_limit_db;
  bool stream;
  double latency_ms;
} options;

static bool complain(const char* about, const char* text) {
  fprintf(stderr, "imse-clean: %s: %s\n", about, text);
  return false;
}

/* ---- The command line ---- */

static bool parse_number(const char* option, const char* text, double* value) {
  char* end;
  *value = strtod(text, &end);
  if (end == text || *end || isnan(*value)) return complain(option, "needs a number");
  return true;
}

static bool parse_options(int count, char** arguments, options* chosen) {
  *chosen = (options){.threads = 1, .attenuation_limit_db = INFINITY};
  for (int i = 1; i < count; i++) {
    const char* argument = arguments[i];
    if (strncmp(argument, "--", 2) != 0) {
      const char** file = chosen->noisy ? &chosen->clean : &chosen->noisy;
      if (*file) return complain(argument, "one file more than NOISY.wav and CLEAN.wav");
      *file = argument;
      continue;
    }
    if (i + 1 == count) return complain(argument, "no option, or one that needs a value: see --help");
    const char* value = arguments[++i];
    double number;
    if (strcmp(argument, "--weights") == 0) {
      chosen->weights = value;
    } else if (strcmp(argument, "--threads") == 0) {
      if (!parse_number(argument, value, &number)) return false;
      chosen->threads = number >= 1 && number <= 1024 ? (int)number : 0; /* which imse_open refuses */
    } else if (strcmp(argument, "--attenuation-limit") == 0) {
      if (!parse_number(argument, value, &number)) return false;
      chosen->attenuation_limit_db = (float)number;
    } else if (strcmp(argument, "--stream") == 0) {
      if (!parse_number(argument, value, &chosen->latency_ms)) return false;
      chosen->stream = true;
    } else {
      return complain(argument, "no such option: see --help");
    }
  }
  if (!chosen->clean) return complain("files", "name NOISY.wav and CLEAN.wav, see --help");
  if (!chosen->weights) return complain("--weights", "name the file of the network, see --help");
  return true;
}

/* ---- The network ---- */

/* All bytes of a file, which the caller frees; null, with errno, where it cannot be read. */
static unsigned char* read_bytes(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (!file) return NULL;
  unsigned char* bytes = NULL;
  size_t room = 0, count = 0;
  do {
    room = room ? 2 * room : 1 << 20;
    unsigned char* larger = realloc(bytes, room);
    if (!larger) break;
    bytes = larger;
    count += fread(bytes + count, 1, room - count, file);
  } while (count == room);
  const bool whole = feof(file) && !ferror(file);
  const int problem = errno;
  fclose(file);
  *size = count;
  if (whole) return bytes;
  free(bytes);
  errno = problem;
  return NULL;
}

static imse_network* open_network(const options* chosen) {
  size_t size;
  unsigned char* bytes = read_bytes(chosen->weights, &size);
  if (!bytes) {
    complain(chosen->weights, strerror(errno));
    return NULL;
  }
  imse_error error;
  imse_network* network = imse_open(bytes, size, chosen->threads, &error);
  free(bytes); /* the network has copied what it needs */
  if (!network) complain(error.status == IMSE_INVALID_ARGUMENT ? "--threads" : chosen->weights, error.text);
  return network;
}

/* ---- A whole recording, in the best quality ---- */

static bool clean_whole(imse_network* network, const options* chosen, wav_reader* reader, wav_writer* writer) {
  const size_t frames = reader->frames, channels = (size_t)reader->format.channels;
  wav_error problem;
  imse_error error;
  /* The channels, and one to work on; a size of 0 may give a null pointer. */
  float* samples = frames < SIZE_MAX / sizeof(float) / (channels + 1) - 1
                       ? malloc((frames + 1) * (channels + 1) * sizeof(float))
                       : NULL;
  if (!samples) return complain(chosen->noisy, "not enough memory, --stream needs less");
  float* enhanced = samples + channels * frames;
  bool done = wav_read(reader, samples, frames, frames, &problem) || complain(chosen->noisy, problem.text);
  for (size_t c = 0; done && c < channels; c++) {
    float* channel = samples + c * frames;
    if (imse_enhance(network, channel, frames, chosen->attenuation_limit_db, enhanced, &error) != IMSE_OK)
      done = complain(chosen->noisy, error.text);
    else
      memcpy(channel, enhanced, frames * sizeof(float));
  }
  done = done && (wav_write(writer, samples, frames, frames, &problem) || complain(chosen->clean, problem.text));
  free(samples);
  return done;
}

/* ---- In blocks, as they come from a microphone ---- */

static bool clean_blocks(imse_stream** streams, const options* chosen, wav_reader* reader, wav_writer* writer) {
  const size_t channels = (size_t)reader->format.channels, most = (size_t)reader->format.sample_rate / 100;
  const size_t room = most + imse_stream_latency(streams[0]); /* for what may come out of one call */
  float* noisy = malloc(channels * (most + room) * sizeof(float));
  if (!noisy) return complain(chosen->noisy, "not enough memory");
  float* enhanced = noisy + channels * most;
  wav_error problem;
  imse_error error;
  bool done = true;
  for (size_t left = reader->frames, ending = 0; done && !ending;) {
    const size_t block = left < most ? left : most;
    ending = left == 0;
    size_t written = 0;
    done = wav_read(reader, noisy, most, block, &problem) || complain(chosen->noisy, problem.text);
    for (size_t c = 0; done && c < channels; c++) {
      float* out = enhanced + c * room;
      const int status = ending ? imse_stream_flush(streams[c], out, &written, &error)
                                : imse_stream_feed(streams[c], noisy + c * most, block, out, &written, &error);
      if (status != IMSE_OK) done = complain(chosen->noisy, error.text);
    }
    /* All channels are equally far. */
    done = done && (wav_write(writer, enhanced, room, written, &problem) || complain(chosen->clean, problem.text));
    left -= block;
  }
  free(noisy);
  return done;
}

static bool clean_stream(imse_network* network, const options* chosen, wav_reader* reader, wav_writer* writer) {
  imse_stream* streams[WAV_MOST_CHANNELS] = {NULL};
  imse_stream_settings settings;
  imse_error error;
  if (imse_stream_settings_for(chosen->latency_ms, reader->format.sample_rate, &settings, &error) != IMSE_OK)
    return complain("--stream", error.text);
  settings.attenuation_limit_db = chosen->attenuation_limit_db;
  bool done = true;
  for (int c = 0; done && c < reader->format.channels; c++) {
    streams[c] = imse_stream_open(network, &settings, &error);
    if (!streams[c]) done = complain("--stream", error.text);
  }
  done = done && clean_blocks(streams, chosen, reader, writer);
  for (int c = 0; c < reader->format.channels; c++) imse_stream_close(streams[c]);
  return done;
}

/* ---- All of it ---- */

static bool check_rate(const char* path, int rate) {
  char text[200];
  snprintf(text, sizeof text,
           "%d Hz instead of %d: sox IN.wav -r %d OUT.wav, ffmpeg -i IN.wav -ar %d OUT.wav, or use --stream", rate,
           IMSE_SAMPLE_RATE, IMSE_SAMPLE_RATE, IMSE_SAMPLE_RATE);
  return rate == IMSE_SAMPLE_RATE || complain(path, text);
}

static bool clean_opened(imse_network* network, const options* chosen, wav_reader* reader) {
  wav_writer writer;
  wav_error problem;
  if (!chosen->stream && !check_rate(chosen->noisy, reader->format.sample_rate)) return false;
  if (!wav_create(&writer, chosen->clean, &reader->format, reader->frames, &problem))
    return complain(chosen->clean, problem.text);
  if ((chosen->stream ? clean_stream : clean_whole)(network, chosen, reader, &writer))
    return wav_finish(&writer, &problem) || complain(chosen->clean, problem.text);
  wav_abandon(&writer);
  return false;
}

static bool clean_file(imse_network* network, const options* chosen) {
  wav_reader reader;
  wav_error problem;
  if (!wav_open(&reader, chosen->noisy, &problem)) return complain(chosen->noisy, problem.text);
  const bool done = clean_opened(network, chosen, &reader);
  wav_close(&reader);
  return done;
}

int main(int count, char** arguments) {
  options chosen;
  for (int i = 1; i < count; i++)
    if (strcmp(arguments[i], "--help") == 0) return fputs(USAGE, stdout) < 0;
  if (!parse_options(count, arguments, &chosen)) return 2;
  imse_network* network = open_network(&chosen);
  const bool done = network && clean_file(network, &chosen);
  imse_close(network);
  return done ? 0 : 1;
}
