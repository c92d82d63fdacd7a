"""The deformable embedding that recomputes: the same as the plain one, in less memory."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from imse.nn import Network, NetworkConfig
from imse.nn.deformable import DeformableEmbedding
from imse.train.kernels import recompute
from imse.train.kernels.deformable import deform


def recomputing(channels: int) -> DeformableEmbedding:
    torch.manual_seed(0)
    embedding = DeformableEmbedding(channels)
    recompute(embedding)
    return embedding


def test_gradients() -> None:
    torch.manual_seed(0)
    shapes = ((2, 3, 4, 5), (2, 18, 4, 5), (3, 1, 3, 3))
    assert torch.autograd.gradcheck(deform, [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes])


def stored(embedding: DeformableEmbedding, x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = embedding(x)
    out.sum().backward()
    return sum(sizes.values())


def test_it_stores_less_and_computes_the_same() -> None:
    torch.manual_seed(0)
    plain, less = DeformableEmbedding(16), recomputing(16)
    less.load_state_dict(plain.state_dict())
    x, y = (torch.ones(1, 16, 20, 32).cumsum(3).sin().requires_grad_() for _ in range(2))
    assert stored(less, x) < 0.5 * stored(plain, y)
    assert torch.equal(less(x), plain(y))
    for mine, expected in zip([x, *less.parameters()], [y, *plain.parameters()], strict=True):
        torch.testing.assert_close(mine.grad, expected.grad)


def test_trains_in_half_precision() -> None:
    embedding = recomputing(8)
    with torch.autocast("cpu", torch.bfloat16):
        embedding(torch.randn(1, 8, 6, 10)).float().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in embedding.parameters())


def test_only_deformable_embeddings_change() -> None:
    for embedding, changed in (("idconv", 0), ("de", 7)):
        network = Network(NetworkConfig(channels=8, blocks=1, embedding=embedding))
        form = copy.deepcopy(network)
        recompute(form)
        pairs = zip(form.modules(), network.modules(), strict=True)
        assert sum(type(mine) is not type(plain) for mine, plain in pairs) == changed
        assert list(form.state_dict()) == list(network.state_dict())
