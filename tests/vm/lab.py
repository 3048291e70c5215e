"""What a scenario works with: an image with the agent in it, and machines made from it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from tests.fabric.media import MediaKey, OvfMedia
from tests.vm.agents import Agent
from tests.vm.image import Image
from tests.vm.machine import Machine
from tests.vm.roots import BareSystem

USER = "azureuser"


@dataclass(frozen=True)
class Person:
    """Who makes a machine on Azure: a key, and a password that was never used elsewhere."""

    name: str
    password: str
    private_key: Path
    public_key: str

    def media(self, **facts: Any) -> OvfMedia:
        """What the disc in the machine's drive says, with differences."""
        usual: dict[str, Any] = {
            "hostname": "fabric-vm",
            "user": self.name,
            "password": self.password,
            "disable_password_authentication": False,
            "keys": (MediaKey(f"/home/{self.name}/.ssh/authorized_keys", value=self.public_key),),
        }
        return OvfMedia(**{**usual, **facts})


@dataclass(frozen=True)
class Lab:
    """A base, an agent to put on it, and a folder for what is made on the way."""

    base: BareSystem
    agent: Agent
    folder: Path
    person: Person

    media_hostname = "fabric-vm"
    custom_data = "#!/bin/sh\necho custom data of the virtual machine\n"

    @property
    def service(self) -> str:
        """The agent's unit, without `.service`."""
        return "walinuxagent" if self.base.family in ("debian", "ubuntu") else "waagent"

    def image(self, agent: Agent) -> Image:
        """A disk with an agent installed; made once in a run."""
        name = "".join(c if c.isalnum() else "-" for c in agent.title)
        path = self.folder / f"{name}.disk"
        if path.exists():
            return Image(path)
        image = Image(self.base.disk).copy(path.with_suffix(".new"))
        agent.install(self.base, image, self.folder / f"{name}.log")
        image.path.rename(path)
        return Image(path)

    def machine(self, media: Optional[OvfMedia], **facts: Any) -> Machine:
        """A machine with the lab's agent, not yet switched on."""
        image = facts.pop("image", None) or self.image(self.agent)
        return Machine(self.base, image, media, **facts)


@dataclass(frozen=True)
class Booted:
    """A machine, and the lab that it was made in: what a look gets."""

    machine: Machine
    lab: Lab


def make_person(folder: Path) -> Person:
    """A new key pair and a password that is found nowhere else."""
    key = folder / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", str(key)], check=True
    )
    public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    return Person(USER, f"Only-{os.urandom(6).hex()}-here!", key, public)
