"""Tests of the fabric emulator itself; no agent takes part."""
