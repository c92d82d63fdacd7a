"""The files that the authors of IMSE and MUSE published: the network in them, and our names for their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from imse.nn import NetworkConfig

_STAGES = {
    "encoder_level1": "encoder1",
    "encoder_level2": "encoder2",
    "latent": "latent",
    "decoder_level2": "decoder2",
    "decoder_level1": "decoder1",
    "mag_refinement": "refine_magnitude",
    "pha_refinement": "refine_phase",
}
_EMBEDDINGS = {
    "patch_embed_encoder_level1": "encoder1",
    "patch_embed_encoder_level2": "encoder2",
    "patch_embed_latent": "latent",
    "patch_embed_decoder_level2": "decoder2",
    "patch_embed_decoder_level1": "decoder1",
    "mag_patch_embed_refinement": "refine_magnitude",
    "pha_patch_embed_refinement": "refine_phase",
}
# Parts of a stage; the first match is applied.
_PARTS = {
    "patch_embeds.0.patch_conv.pwconv": "embedding.pointwise",
    "patch_embeds.0.patch_conv.dwconv_hw": "embedding.square",
    "patch_embeds.0.patch_conv.dwconv_w": "embedding.frequency",
    "patch_embeds.0.patch_conv.dwconv_h": "embedding.time",
    "patch_embeds.0.patch_conv.offset_generator": "embedding.offsets",
    "patch_embeds.0.patch_conv.dcn": "embedding.deformable",
    "norm1.body": "norm1",
    "norm2.body": "norm2",
    "mala": "attention",
    "attn.qkv": "attention.qkv.0",
    "attn.qkv_dwconv": "attention.qkv.1",
    "attn.refine_att.conv_list": "attention.refinement.convs",
    "attn.sca.1": "attention.channel",
    "attn.dwconv": "attention.spatial",
    "attn.project_out": "attention.proj",
    "attn": "attention",
    "ffn.dwconv": "ffn.depthwise",
    "ffn": "ffn",
}
# Published prefix to ours; the first match is applied.
_PREFIXES: list[tuple[str, str]] = [
    (r"dense_encoder\.dense_conv_1\.", "encoder.entry."),
    (r"dense_encoder\.dense_block\.dense_block\.", "encoder.dense.layers."),
    (r"dense_encoder\.dense_conv_2\.", "encoder.halve."),
    *(
        (rf"TCFTransformer\.{published}\.mhca_blks\.0\.transformer_layers\.", f"unet.{ours}.blocks.")
        for published, ours in _STAGES.items()
    ),
    *((rf"TCFTransformer\.{published}\.", f"unet.{ours}.") for published, ours in _EMBEDDINGS.items()),
    (r"TCFTransformer\.(down|up)(?:(1)_2|(2)_3|3_(2)|2_(1))\.body\.", r"unet.\1\2\3\4\5."),
    (r"TCFTransformer\.reduce_chan_level(\d)\.0\.", r"unet.reduce\1."),
    (r"TCFTransformer\.mag_output\.0\.", "unet.magnitude_out."),
    (r"TCFTransformer\.pha_output\.0\.", "unet.phase_out."),
    (r"mask_decoder\.dense_block\.dense_block\.", "magnitude_decoder.dense.layers."),
    (r"mask_decoder\.mask_conv\.0\.", "magnitude_decoder.expand.expand."),
    (r"mask_decoder\.mask_conv\.2\.", "magnitude_decoder.expand.depthwise."),
    (r"mask_decoder\.mask_conv\.3\.", "magnitude_decoder.merge."),
    (r"mask_decoder\.mask_conv\.4\.", "magnitude_decoder.norm."),
    (r"mask_decoder\.mask_conv\.5\.", "magnitude_decoder.prelu."),
    (r"mask_decoder\.mask_conv\.6\.", "magnitude_decoder.out."),
    (r"mask_decoder\.lsigmoid\.", "magnitude_decoder.sigmoid."),
    (r"phase_decoder\.dense_block\.dense_block\.", "phase_decoder.dense.layers."),
    (r"phase_decoder\.phase_conv\.0\.", "phase_decoder.expand.expand."),
    (r"phase_decoder\.phase_conv\.2\.", "phase_decoder.expand.depthwise."),
    (r"phase_decoder\.phase_conv\.3\.", "phase_decoder.norm."),
    (r"phase_decoder\.phase_conv\.4\.", "phase_decoder.prelu."),
    (r"phase_decoder\.phase_conv_r\.", "phase_decoder.real."),
    (r"phase_decoder\.phase_conv_i\.", "phase_decoder.imag."),
]
# Tensors of the published files that are not needed: the rotary angles, which we compute, and the selective fusion
# (SKFF) after each stage, which has no effect: it fuses a single path, so its softmax is always 1.
_DEAD = re.compile(r"\.rope\.angle$|\.aggregate\.")


def config_of(names: Iterable[str]) -> NetworkConfig:
    """Configuration of the network in a published file: MET and DE if their tensors occur, else MALA and IDConv."""
    parts = {part for name in names for part in name.split(".")}
    return NetworkConfig(
        attention="met" if "attn" in parts else "mala", embedding="de" if "offset_generator" in parts else "idconv"
    )


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under our names, without those that are not needed. Unknown tensors keep their names."""
    return {_rename(name): tensor for name, tensor in published.items() if not _DEAD.search(name)}


def _rename(name: str) -> str:
    for pattern, replacement in _PREFIXES:
        ours, count = re.subn(rf"^{pattern}", replacement, name)
        if count:
            break
    else:
        return name
    for published, part in _PARTS.items():
        if f".{published}." in ours:
            return ours.replace(f".{published}.", f".{part}.")
    return ours
