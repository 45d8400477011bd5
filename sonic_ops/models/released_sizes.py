"""The sizes of the released networks, for plans of machines that have no weights.

Sources: the published configurations of Stable Video Diffusion (img2vid-xt), CLIP ViT-H/14 and
Whisper tiny; the adapters have theirs as defaults. Keys and shapes of UNet and adapters equal the
inventory of the released files (tests/sonic_ops/models/test_inventory.py).
"""

from typing import Any, Final

UNET: Final[dict[str, Any]] = {
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "num_attention_heads": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "layers_per_block": 2,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 768,
}
VAE: Final[dict[str, Any]] = {
    "_class_name": "AutoencoderKLTemporalDecoder",
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 4,
}
RELEASED: Final[dict[str, dict[str, Any]]] = {
    "unet": UNET,
    "vae": VAE,
    "image_encoder": {
        "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
        "num_attention_heads": 16, "patch_size": 14, "projection_dim": 1024, "hidden_act": "gelu",
    },
    "speech_encoder": {
        "d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536, "num_mel_bins": 80,
    },
    "audio2token": {"context_tokens": 32},
    "audio2bucket": {},
}  # fmt: skip
