from __future__ import annotations

import os
import struct
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asd.data.audio import EIGHT_BIT, Channel, ClipFacts, Recording, resampled_length
from asd.errors import AsdError


def pcm16(path: Path, values: np.ndarray, rate: int = 16000) -> Path:
    """Write int16 [samples] or [samples, channels] with the standard library alone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if values.ndim == 1 else values.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.astype("<i2").tobytes())
    return path


def noise(n: int = 1600, channels: int = 1) -> np.ndarray:
    shape = n if channels == 1 else (n, channels)
    return np.random.default_rng(3).integers(-32768, 32768, shape).astype(np.int16)


def read_clip(path: Path, rate: int, channel: Channel = None) -> np.ndarray:
    return Recording.read(path, channel).signal(rate)


def facts_of(path: Path, channel: Channel = None) -> ClipFacts:
    return Recording.read(path, channel).facts


def test_16_bit_is_divided_by_32768_exactly(tmp_path: Path) -> None:
    values = noise()
    values[:2] = -32768, 32767
    clip = read_clip(pcm16(tmp_path / "a.wav", values), 16000)
    assert clip.dtype == np.float32
    assert clip.shape == (1600,)
    assert clip.flags.c_contiguous
    np.testing.assert_array_equal(clip, values / 32768)


@pytest.mark.parametrize(
    ("container", "subtype", "step"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "ULAW", 0.05),
        ("WAV", "ALAW", 0.05),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-24),  # float32 has no more
        ("WAV", "FLOAT", 2**-24),
        ("WAV", "DOUBLE", 2**-24),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
        ("AIFF", "PCM_16", 2**-15),
        ("AIFF", "FLOAT", 2**-24),
    ],
)
def test_other_sample_formats(tmp_path: Path, container: str, subtype: str, step: float) -> None:
    values = np.random.default_rng(0).uniform(-0.9, 0.9, 1000)
    soundfile.write(tmp_path / "a.wav", values, 16000, format=container, subtype=subtype)
    clip = read_clip(tmp_path / "a.wav", 16000)
    assert clip.dtype == np.float32
    np.testing.assert_allclose(clip, values, atol=step, rtol=0)
    assert facts_of(tmp_path / "a.wav").subtype == subtype
    assert (subtype in EIGHT_BIT) == (step > 0.001)


def test_channels(tmp_path: Path) -> None:
    values = noise(channels=4)
    path = pcm16(tmp_path / "a.wav", values)
    for channel, wanted in ((None, "null"), (4, "4")):
        message = rf"a\.wav: 4 channels: .*data\.channel=0\.\.3.*=mean.*\(it is {wanted}\)"
        with pytest.raises(AsdError, match=message):
            read_clip(path, 16000, channel)
    np.testing.assert_array_equal(read_clip(path, 16000, 2), values[:, 2] / 32768)
    mean = values.astype(float).mean(axis=1) / 32768
    np.testing.assert_allclose(read_clip(path, 16000, "mean"), mean, atol=1e-6)
    mono = pcm16(path, noise())
    for channel in (0, "mean"):
        np.testing.assert_array_equal(read_clip(mono, 16000, channel), noise() / 32768)
    with pytest.raises(AsdError, match=r"1 channels: .*data\.channel=0\.\.0"):
        read_clip(mono, 16000, 1)


def test_facts_are_of_the_channel_that_is_read(tmp_path: Path) -> None:
    values = np.zeros((800, 2))
    values[:, 0] = 1.5
    values[7, 1] = -0.25
    for subtype, loudest in (("FLOAT", 1.5), ("PCM_16", 32767 / 32768)):
        soundfile.write(tmp_path / "a.wav", values, 8000, subtype=subtype)
        assert [facts_of(tmp_path / "a.wav", n).peak for n in (0, 1)] == [loudest, 0.25]
        np.testing.assert_array_equal(read_clip(tmp_path / "a.wav", 8000, 0), loudest)
    facts = facts_of(tmp_path / "a.wav", 0)
    assert (facts.samples, facts.rate, facts.subtype) == (800, 8000, "PCM_16")
    assert facts_of(pcm16(tmp_path / "a.wav", np.full(9, -32768))).peak == 1
    assert facts_of(pcm16(tmp_path / "a.wav", np.zeros(9))).peak == 0


# Resampling


@pytest.mark.parametrize(("rate", "new"), [(44100, 16000), (8000, 16000), (48000, 16000)])
def test_resampling_agrees_with_the_fourier_method(rate: int, new: int, tmp_path: Path) -> None:
    """Band-limited noise, against ``scipy.signal.resample``, which works by FFT."""
    from scipy.signal import resample as by_fft

    rng = np.random.default_rng(1)
    spectrum = np.zeros(rate // 2 + 1, complex)
    band = slice(50, int(0.35 * min(rate, new)))
    spectrum[band] = rng.standard_normal(band.stop - 50) + 1j * rng.standard_normal(band.stop - 50)
    signal = np.fft.irfft(spectrum, rate)
    signal *= 0.3 / signal.std()
    soundfile.write(tmp_path / "a.wav", signal, rate, "FLOAT")
    ours = read_clip(tmp_path / "a.wav", new)
    expected = by_fft(signal, new)
    assert ours.shape == expected.shape
    inside = slice(500, -500)
    error = np.sqrt(np.mean((ours - expected)[inside] ** 2)) / expected.std()
    assert error < 5e-3


def test_resampled_length_of_an_odd_rate(tmp_path: Path) -> None:
    path = pcm16(tmp_path / "a.wav", noise(1001), 11025)
    clip = read_clip(path, 16000)
    assert (clip.dtype, len(clip)) == (np.float32, resampled_length(1001, 11025, 16000))


# Bad files


def put(path: Path, data: bytes | bytearray) -> None:
    path.write_bytes(data)


def encoded(container: str, subtype: str) -> bytes:
    """A sound file of 4000 samples."""
    buffer = BytesIO()
    soundfile.write(buffer, noise(4000) / 32768, 16000, format=container, subtype=subtype)
    return buffer.getvalue()


def cut(path: Path, lost: int, **options: object) -> None:
    """A sound file of 1600 samples whose last bytes are lost."""
    soundfile.write(path, noise(), 16000, **({"subtype": "PCM_16"} | options))
    path.write_bytes(path.read_bytes()[:-lost])


def joined(path: Path, gap: int = 0, **options: object) -> None:
    """Two files in one, of which libsndfile reads the first as if it were whole."""
    soundfile.write(path, noise(), 16000, **options)
    path.write_bytes(path.read_bytes() + bytes(gap) + path.read_bytes())


def cut_behind_other_chunks(path: Path) -> None:
    """The data chunk stands behind chunks of odd and even length."""
    whole = pcm16(path, noise()).read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"abcde\0" + b"junk" + struct.pack("<I", 4) + b"1234"
    data = whole[:36] + extra + whole[36:]
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert read_clip(path, 16000).shape == (1600,)
    path.write_bytes(path.read_bytes()[:-10])


def flac_without_length(path: Path) -> None:
    soundfile.write(path, noise(), 16000, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)


def not_finite(path: Path, value: float, subtype: str) -> None:
    values = np.full(100, 0.1)
    values[[3, 50]] = value
    soundfile.write(path, values, 16000, subtype=subtype)


AGAIN = "copy it again"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, r"cannot be read \(No such file .*put the file there"),
    "folder": (lambda path: path.mkdir(), "no regular file"),
    "pipe": (os.mkfifo, "no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "system": (lambda path: path.symlink_to("/proc/self/status"), r"no readable .*\(0 bytes"),
    "huge": (lambda path: [path.touch(), os.truncate(path, 2**40)], "cut it into clips"),
    "rate": (
        lambda path: pcm16(path, noise(), 2**31 - 1),
        "1600 samples of 1 channels at 2147483647 Hz",
    ),
    "slow": (lambda path: pcm16(path, noise(), 1), "channels at 1 Hz"),
    "loud": (lambda path: not_finite(path, 1e20, "FLOAT"), r"has samples of 1e\+20"),
    "empty": (lambda path: path.touch(), r"no readable WAV, FLAC or AIFF file \(0 bytes"),
    "no samples": (lambda path: pcm16(path, noise(0)), "says to hold 0 samples"),
    "header alone": (lambda path: cut(path, 3200), "cut short, 3200 bytes"),
    **{f"header {n}": (lambda path, n=n: cut(path, 3244 - n), AGAIN) for n in (3, 11, 20, 39)},
    # libsndfile alone reads such files without an error; that is why the chunks are compared.
    **{f"cut {n}": (lambda path, n=n: cut(path, n), f"cut short, {n} bytes") for n in (1, 2, 999)},
    "chunks": (cut_behind_other_chunks, "cut short, 10 bytes"),
    "RF64": (lambda path: cut(path, 6, format="RF64"), "cut short, 6 bytes"),
    "big endian": (lambda path: cut(path, 6, endian="BIG"), "cut short, 6 bytes"),
    "FLAC": (lambda path: cut(path, 900, format="FLAC"), AGAIN),
    "AIFF": (lambda path: cut(path, 6, format="AIFF"), "cut short, 6 bytes"),
    **{
        f"{format_} {subtype}": (
            lambda path, of=(format_, subtype): put(path, encoded(*of)),
            f"{format_} with {subtype} is not read: use the recording before compression, or",
        )
        for format_, subtype in (("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"))
    },
    **{
        f"joined {format_}": (lambda path, of=format_: joined(path, format=of), "a second sound ")
        for format_ in ("FLAC", "RF64")
    },
    "joined and padded": (lambda path: joined(path, 512, format="WAV"), "a second sound file"),
    "ADPCM": (lambda path: cut(path, 1, subtype="IMA_ADPCM"), "WAV with IMA_ADPCM is not read"),
    "CAF": (lambda path: cut(path, 1, format="CAF"), "CAF with PCM_16 is not read: .*convert"),
    "no sound": (lambda path: put(path, b"<html>404" * 50), "no readable WAV, FLAC.*convert"),
    "FLAC length": (flac_without_length, "says to hold [0-9]{15,} samples"),
    **{
        f"{value} {subtype}": (
            lambda path, value=value, subtype=subtype: not_finite(path, value, subtype),
            f"has samples of {abs(value)}, ",
        )
        for value in (np.nan, np.inf, -np.inf)
        for subtype in ("FLOAT", "DOUBLE")
    },
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused(what: str, tmp_path: Path) -> None:
    write, message = BAD[what]
    write(tmp_path / "a.wav")
    with pytest.raises(AsdError, match=rf"a\.wav: .*{message}"):
        read_clip(tmp_path / "a.wav", 16000)


def test_whole_files_of_unusual_form(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for options in ({"format": "RF64"}, {"endian": "BIG"}):
        soundfile.write(path, noise(), 16000, subtype="PCM_16", **options)
        assert path.read_bytes()[:4] in (b"RF64", b"RIFX")
        np.testing.assert_array_equal(read_clip(path, 16000), noise() / 32768)
    data = bytearray(pcm16(path, noise()).read_bytes())
    put(path, data + b"LIST" + struct.pack("<I", 100) + b"abc")  # what is cut is not the samples
    np.testing.assert_array_equal(read_clip(path, 16000), noise() / 32768)
    data[4:8] = data[40:44] = b"\xff" * 4  # as programs leave it that write to a pipe
    put(path, data)
    np.testing.assert_array_equal(read_clip(path, 16000), noise() / 32768)


FORMATS = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("RF64", "PCM_24"), ("FLAC", "PCM_16"),
           ("AIFF", "PCM_16"))  # fmt: skip


@given(
    kind=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=8)), max_size=4),
    length=st.integers(0, 20_000),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_damaged_files_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory,
    kind: tuple[str, str],
    changes: list[tuple[int, bytes]],
    length: int,
) -> None:
    """Whatever stands in the header and wherever the file ends: finite samples, or an AsdError."""
    data = bytearray(encoded(*kind))
    for place, other in changes:
        data[place : place + len(other)] = other
    path = tmp_path_factory.getbasetemp() / "damaged"
    put(path, data[:length])
    try:
        clip = read_clip(path, 16000)
    except AsdError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert clip.ndim == 1 and len(clip) and np.isfinite(clip).all()


def test_real_recording(real_audio: Path) -> None:
    path = real_audio / "mimii_fan/fan/train/normal_id_00_00000000.wav"
    clip = read_clip(path, 16000)
    with wave.open(str(path)) as file:
        expected = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert clip.shape == (160000,)
    np.testing.assert_array_equal(clip, expected)
