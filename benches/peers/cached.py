"""What inference keeps: everything that depends on parameters alone."""

from torch import nn


class Cached(nn.Module):
    """An optimised form in evaluation; its constants are buffers."""

    def __init__(self, model):
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.names = self.kept("constant", model.constants())

    def kept(self, name, value):
        """Keeps tensors as buffers and gives their names in the same structure."""
        if isinstance(value, dict):
            return {key: self.kept(f"{name}_{key}", part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.kept(f"{name}_{index}", part) for index, part in enumerate(value)]
        self.register_buffer(name, value.contiguous().clone())
        return name

    def found(self, names):
        if isinstance(names, dict):
            return {key: self.found(part) for key, part in names.items()}
        if isinstance(names, list):
            return [self.found(part) for part in names]
        return getattr(self, names)

    def forward(self, inputs):
        return self.model.logits(inputs, self.found(self.names))
