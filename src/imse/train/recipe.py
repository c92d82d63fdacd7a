"""What a training run is made of, as frozen dataclasses; `imse.train.recipe_file` reads them from TOML.

The paper's setting is in the defaults where the paper has one (arXiv 2511.14515, section 3); a recipe states what
differs. A run keeps its resolved recipe beside its checkpoints. Types and ranges are checked by pydantic whenever one
of these is made; importing pydantic takes a tenth of a second, torch takes seconds.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from imse.errors import ImseError
from imse.nn import NetworkConfig
from imse.signal.spectrum import BINS, N_FFT, SAMPLE_RATE

Limits = TypeVar("Limits", tuple[float, float], tuple[int, int])


def _ascending(limits: Limits) -> Limits:
    low, high = limits
    if low > high:
        raise ValueError(f"the first limit must not be above the second, not [{low}, {high}]")
    return limits


def _file_name(name: str) -> str:
    if "\0" in name:
        raise ValueError("the name of a file or folder has no null character")
    return name


Probability = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Decibels = Annotated[float, Field(ge=-200, le=200)]
DecibelRange = Annotated[tuple[Decibels, Decibels], AfterValidator(_ascending)]
# A number of things that are made before the first step: a slip of the keyboard must not take the machine down.
Count = Annotated[int, Field(ge=1, le=100_000)]
Processes = Annotated[int, Field(ge=1, le=1_024)]
Voices = Annotated[int, Field(ge=1, le=100)]
VoiceRange = Annotated[tuple[Voices, Voices], AfterValidator(_ascending)]
FileName = Annotated[str, AfterValidator(_file_name)]

# Measures of an estimate and the clean speech that the best checkpoint can be best at.
Measure = Literal["pesq_wb", "stoi", "si_sdr_db"]

_MOST_CHANNELS, _MOST_BLOCKS = 256, 32

# Strict: no number out of a string, no integer out of 1.5, no unknown key, no nan.
_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class RecipeError(ImseError, ValueError):
    """A recipe that cannot be run; the message names the key."""


@dataclass(frozen=True, config=_CONFIG)
class DataConfig:
    """Where sound comes from: pairs of folders, or a manifest to mix from.

    In a recipe, relative paths of recordings start at the table's key ``root``, or else at the folder of the file that
    states them; `cache` starts at the working directory.

    Attributes:
        manifest: Table of clean speech and noise (see `imse.train.manifest`); mixtures are made of it on the fly.
            Empty: paired folders.
        clean: Folder of clean training recordings, for pairs.
        noisy: Folder of their noisy counterparts: the same names, lengths and rates.
        held_out_speakers: Speakers (for pairs, prefixes of file names up to "_") kept for validation, beside the
            recordings that the manifest itself holds out.
        held_out_noises: Noise types kept for validation, likewise; ignored for pairs, whose noises are not labelled.
        skip_sources: Sources of the manifest that are not used at all, as too noisy to be a target.
        denoised_sources: Sources of speech whose noise floor is removed (see `imse.train.floor`).
        speech_shares: Share of the speech that is drawn from a source, by its name; other sources share the rest by
            their seconds.
        cache: Folder that keeps the decoded corpus between starts; empty decodes it each time.
    """

    manifest: FileName = ""
    clean: FileName = ""
    noisy: FileName = ""
    held_out_speakers: tuple[str, ...] = ()
    held_out_noises: tuple[str, ...] = ()
    skip_sources: tuple[str, ...] = ()
    denoised_sources: tuple[str, ...] = ()
    speech_shares: dict[str, Probability] = field(default_factory=dict)
    cache: FileName = ""


@dataclass(frozen=True, config=_CONFIG)
class MixingConfig:
    """How mixtures are made. Probabilities are per segment.

    Attributes:
        snr_db: Range of the signal-to-noise ratio, uniform in dB, over the segment.
        level_db: Range of the mixture's level in dB of full scale. It matters to the codec alone, as the network's
            input is scaled to unit RMS.
        second_noise: Probability that two noises are added up.
        babble: Probability that the noise is babble, of `babble_voices` (range) voices of other speakers.
        babble_voices: Fewest and most voices.
        colour: Probability that speech, and independently noise, passes a random filter (microphone colour).
        colour_db: Largest gain of that filter, either way.
        band_limit: Probability that the mixture and its target are low-passed, as by a telephone or a codec.
        room: Probability that speech is placed in a simulated room; the target keeps the early reflections.
        rooms: How many rooms to simulate at the start.
        clipping: Probability that the mixture is clipped.
        codec: Probability that the mixture is quantised as by 8-bit mu-law telephony.
        pure_noise: Probability of a segment without speech (the target is silence).
        pure_speech: Probability of a segment without noise.
        level_offset: Probability that a segment is not at unit RMS, as a quiet passage of a loud recording is not.
        level_offset_db: Range of its level relative to that.
        shortest_segment: Where above 0, a step's segments are cut to a length drawn between this and
            `optim.segment_samples`, so that the network learns to work on short segments, too.
    """

    snr_db: DecibelRange = (-5.0, 20.0)
    level_db: DecibelRange = (-35.0, -15.0)
    second_noise: Probability = 0.2
    babble: Probability = 0.15
    babble_voices: VoiceRange = (3, 8)
    colour: Probability = 0.3
    colour_db: Annotated[float, Field(ge=0, le=200)] = 9.0
    band_limit: Probability = 0.0
    room: Probability = 0.0
    rooms: Count = 200
    clipping: Probability = 0.0
    codec: Probability = 0.0
    pure_noise: Probability = 0.0
    pure_speech: Probability = 0.02
    level_offset: Probability = 0.0
    level_offset_db: DecibelRange = (-12.0, 6.0)
    shortest_segment: NonNegativeInt = 0


@dataclass(frozen=True, config=_CONFIG)
class LossConfig:
    """Weight of each term. A term of weight 0 is not computed.

    Attributes:
        magnitude: Squared error of the compressed magnitude.
        phase: Anti-wrapped phase, group delay and instantaneous angular frequency.
        complex: Squared error of the compressed complex spectrum.
        metric: Metric discriminator on wide-band PESQ; 0 needs neither the discriminator nor PESQ.
        consistency: Distance of the estimate from the nearest spectrum that is one of a waveform (MP-SENet).
        perceptual: Disturbance in loudness, after PESQ (PMSQE).
        si_sdr: Negative scale-invariant signal-to-distortion ratio, in dB.
        intelligibility: Loss of correlation of band envelopes, after STOI: about 1 - STOI.
        level: Squared error of the level of speech in bel: 0.01 for 1 dB.
        pesq_workers: Processes that compute PESQ for the discriminator. Not a weight.
    """

    magnitude: NonNegativeFloat = 0.9
    phase: NonNegativeFloat = 0.3
    complex: NonNegativeFloat = 0.2
    metric: NonNegativeFloat = 0.05
    consistency: NonNegativeFloat = 0.0
    perceptual: NonNegativeFloat = 0.0
    si_sdr: NonNegativeFloat = 0.0
    intelligibility: NonNegativeFloat = 0.0
    level: NonNegativeFloat = 0.0
    pesq_workers: Processes = 2

    def __post_init__(self) -> None:
        if not any(getattr(self, term.name) for term in fields(self) if term.name != "pesq_workers"):
            raise ValueError("at least one weight must be above 0")


@dataclass(frozen=True, config=_CONFIG)
class TeacherConfig:
    """A network whose output is the target of some mixtures (knowledge distillation, Hinton et al., arXiv 1503.02531).

    Attributes:
        weights: Its weights, a file that `imse.checkpoint.load` opens or a name in the package; empty for no teacher.
        sources: Sources of speech in the manifest whose mixtures it teaches; empty for all.
        share: Share of its output in the target waveform; the rest is the clean speech.
    """

    weights: FileName = ""
    sources: tuple[str, ...] = ()
    share: Probability = 1.0

    def __post_init__(self) -> None:
        if not self.weights and (self.sources or self.share != 1):
            raise ValueError("sources and share have no effect without weights")


@dataclass(frozen=True, config=_CONFIG)
class OptimConfig:
    """Steps and step sizes.

    Attributes:
        steps: Optimiser steps in all.
        minutes: Where above 0, the run ends, and the cosine schedule advances, by time spent instead of `steps`. Such
            a run depends on the speed of the machine, so it cannot be repeated bit for bit.
        batch_size: Segments per step over all processes.
        segment_samples: Samples of a segment at 16 kHz, one window to one minute; 30,700 give the paper's 308 frames.
        lr: Peak learning rate, of the network and of the discriminator.
        betas: AdamW's averaging factors.
        weight_decay: AdamW's weight decay.
        schedule: "cosine" to zero at the last step, or "exponential" (`decay` every `decay_steps`).
        warmup_steps: Steps of linear warm-up.
        decay: Factor of the exponential schedule.
        decay_steps: Steps between two factors; an epoch of the paper is 5,786 steps.
        clip_norm: Largest norm of the gradient; 0 leaves it as it is.
        ema: Decay of the moving average of the weights that is validated and exported; 0 uses the weights themselves.
        precision: "32-true", or "bf16-mixed" for the network's forward and backward pass; losses are always float32.
        compile: Compile network and loss with torch.compile.
    """

    steps: PositiveInt = 578_600
    minutes: NonNegativeFloat = 0.0
    batch_size: Annotated[int, Field(ge=1, le=16_384)] = 2
    segment_samples: Annotated[int, Field(ge=N_FFT, le=60 * SAMPLE_RATE)] = 30_700
    lr: PositiveFloat = 5e-4
    betas: tuple[Decay, Decay] = (0.8, 0.99)
    weight_decay: NonNegativeFloat = 0.01
    schedule: Literal["cosine", "exponential"] = "exponential"
    warmup_steps: NonNegativeInt = 0
    decay: Annotated[float, Field(gt=0, le=1)] = 0.99
    decay_steps: PositiveInt = 5_786
    clip_norm: NonNegativeFloat = 0.0
    ema: Decay = 0.0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False


@dataclass(frozen=True, config=_CONFIG)
class ValidationConfig:
    """Whole utterances of held-out speakers and noises, mixed once from the seed.

    Attributes:
        interval: Steps between validations; 0 never validates. A run from given weights validates these, too.
        utterances: How many.
        snr_db: Signal-to-noise ratios, taken in turn.
        metric: What the best checkpoint is best at: "pesq_wb", "stoi", "si_sdr_db", or "balanced", which is
            ``pesq_wb + 10 * stoi``: a hundredth of STOI counts as much as a tenth of PESQ.
        workers: Processes that compute the metrics.
        samples: Utterances whose sound and spectrogram go to TensorBoard.
    """

    interval: NonNegativeInt = 5_000
    utterances: Count = 60
    snr_db: Annotated[tuple[Decibels, ...], Field(min_length=1)] = (2.5, 7.5, 12.5, 17.5)
    metric: Literal[Measure, "balanced"] = "pesq_wb"
    workers: Processes = 2
    samples: NonNegativeInt = 3


@dataclass(frozen=True, config=_CONFIG)
class RunConfig:
    """The run's folder, where it starts from, its device, and how often it saves and logs.

    Attributes:
        folder: Run folder: checkpoints, TensorBoard events, the resolved recipe.
        start_from: Weights to start from instead of random ones, a file or a name in the package, of the same network
            or of one with fewer blocks (see `imse.train.growth`); for another run over other data, or with another
            schedule. To go on with the same run, use `--resume`.
        accelerator: Lightning Fabric's name of the device: "auto", "cpu", "cuda", "mps".
        checkpoint_minutes: Longest time between two checkpoints, and so the most that a killed run loses.
        log_interval: Steps between two rows of scalars.
    """

    folder: Annotated[FileName, Field(min_length=1)] = "runs/default"
    start_from: FileName = ""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    checkpoint_minutes: NonNegativeFloat = 10.0
    log_interval: PositiveInt = 50


@dataclass(frozen=True, config=_CONFIG)
class Recipe:
    """A whole training run."""

    name: str = "default"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1234
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.network.bins != BINS:
            raise ValueError(f"network.bins must be {BINS}, the bins of the spectrum that training computes")
        if self.network.channels > _MOST_CHANNELS or self.network.blocks > _MOST_BLOCKS:
            raise ValueError(f"at most {_MOST_CHANNELS} channels and {_MOST_BLOCKS} blocks can be trained")
        shortest, longest = self.mixing.shortest_segment, self.optim.segment_samples
        if shortest and not N_FFT <= shortest <= longest:
            raise ValueError(
                f"mixing.shortest_segment must be 0, or from {N_FFT}, one window, to optim.segment_samples, {longest}"
            )
