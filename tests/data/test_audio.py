from __future__ import annotations

import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asd.data.audio import EIGHT_BIT, Channel, ClipError, ClipFacts, Recording, read_clip, resample
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


def facts_of(path: Path, channel: Channel = None) -> ClipFacts:
    return Recording.read(path).facts(channel)


def test_16_bit_is_divided_by_32768_exactly(tmp_path: Path) -> None:
    values = noise()
    values[:2] = -32768, 32767
    clip = read_clip(pcm16(tmp_path / "a.wav", values), 16000)
    assert clip.dtype == np.float32
    assert clip.shape == (1600,)
    assert clip.flags.c_contiguous
    np.testing.assert_array_equal(clip, values / 32768)


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 1 / 128),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-24),  # float32 has no more
        ("FLOAT", 2**-24),
        ("DOUBLE", 2**-24),
    ],
)
def test_other_sample_formats(tmp_path: Path, subtype: str, step: float) -> None:
    values = np.random.default_rng(0).uniform(-0.9, 0.9, 1000)
    soundfile.write(tmp_path / "a.wav", values, 16000, subtype=subtype)
    clip = read_clip(tmp_path / "a.wav", 16000)
    assert clip.dtype == np.float32
    np.testing.assert_allclose(clip, values, atol=step, rtol=0)
    assert facts_of(tmp_path / "a.wav").subtype == subtype


def test_float_beyond_full_scale_is_kept_and_flagged(tmp_path: Path) -> None:
    values = np.array([0.5, -1.5, 1.25])
    soundfile.write(tmp_path / "a.wav", values, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_clip(tmp_path / "a.wav", 16000), values)
    assert facts_of(tmp_path / "a.wav").beyond
    soundfile.write(tmp_path / "b.wav", values / 2, 16000, subtype="FLOAT")
    assert not facts_of(tmp_path / "b.wav").beyond


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_content(tmp_path: Path, subtype: str) -> None:
    values = noise() / 32768
    soundfile.write(tmp_path / "a.wav", values, 16000, format="FLAC", subtype=subtype)
    np.testing.assert_allclose(read_clip(tmp_path / "a.wav", 16000), values, atol=2**-23)


def test_truncated_flac(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(20000) / 32768, 16000, format="FLAC")
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(ClipError, match=r"a\.wav: .*copy it again"):
        read_clip(path, 16000)


def test_channels(tmp_path: Path) -> None:
    values = noise(channels=4)
    path = pcm16(tmp_path / "a.wav", values)
    with pytest.raises(AsdError, match=r"a\.wav: 4 channels: .*data\.channel=0\.\.3.*=mean"):
        read_clip(path, 16000)
    np.testing.assert_array_equal(read_clip(path, 16000, 2), values[:, 2] / 32768)
    mean = values.astype(float).mean(axis=1) / 32768
    np.testing.assert_allclose(read_clip(path, 16000, "mean"), mean, atol=1e-6)
    with pytest.raises(AsdError, match=r"no channel 4: data\.channel=0\.\.3"):
        read_clip(path, 16000, 4)


def test_mono_with_a_channel_chosen(tmp_path: Path) -> None:
    path = pcm16(tmp_path / "a.wav", noise())
    np.testing.assert_array_equal(read_clip(path, 16000, 0), read_clip(path, 16000))
    np.testing.assert_array_equal(read_clip(path, 16000, "mean"), read_clip(path, 16000))
    with pytest.raises(AsdError, match=r"no channel 1: only data\.channel=0"):
        read_clip(path, 16000, 1)


@pytest.mark.parametrize("channel", [-1, "left", 1.5, True])
def test_channel_option_is_checked(tmp_path: Path, channel: object) -> None:
    with pytest.raises(AsdError, match=f"data.channel={channel}: must be"):
        read_clip(tmp_path / "a.wav", 16000, channel)  # type: ignore[arg-type]


def test_rate_option_is_checked(tmp_path: Path) -> None:
    with pytest.raises(AsdError, match=r"data\.rate=0: must be"):
        read_clip(tmp_path / "a.wav", 0)


@pytest.mark.parametrize("channel", [None, 1])
def test_silence_is_read_and_flagged(tmp_path: Path, channel: int | None) -> None:
    """Of the channel that is read, not of the others."""
    values = np.zeros(800, np.int16) if channel is None else np.zeros((800, 2), np.int16)
    if channel is not None:
        values[:, 0] = 7
    path = pcm16(tmp_path / "a.wav", values)
    assert not read_clip(path, 16000, channel).any()
    assert facts_of(path, channel).silent
    values[-1] = 1
    assert not facts_of(pcm16(path, values), channel).silent


def test_facts(tmp_path: Path) -> None:
    facts = facts_of(pcm16(tmp_path / "a.wav", noise(500, 2), 8000), 0)
    assert (facts.samples, facts.rate, facts.subtype) == (500, 8000, "PCM_16")
    assert not facts.beyond


# Resampling


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampled_tone_is_the_tone(tmp_path: Path, rate: int) -> None:
    """A tone below both Nyquist rates keeps its frequency, phase and amplitude."""

    def tone(at: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(at) / at)

    path = pcm16(tmp_path / "a.wav", np.round(tone(rate) * 32767).astype(np.int16), rate)
    clip = read_clip(path, 16000)
    assert clip.shape == (16000,)
    assert clip.dtype == np.float32
    inside = slice(200, -200)  # the ends ring
    np.testing.assert_allclose(clip[inside], tone(16000)[inside], atol=1e-3)


def test_resampling_suppresses_what_would_fold_back(tmp_path: Path) -> None:
    seconds = np.arange(48000) / 48000
    high = np.round(16000 * np.sin(2 * np.pi * 11000 * seconds)).astype(np.int16)
    clip = read_clip(pcm16(tmp_path / "a.wav", high, 48000), 16000)
    assert np.abs(clip[200:-200]).max() < 2e-3  # 48 dB below the tone


@pytest.mark.parametrize(("rate", "new"), [(44100, 16000), (8000, 16000), (48000, 16000)])
def test_resampling_agrees_with_the_fourier_method(rate: int, new: int) -> None:
    """Band-limited noise, against ``scipy.signal.resample``, which works by FFT."""
    from scipy.signal import resample as by_fft

    rng = np.random.default_rng(1)
    spectrum = np.zeros(rate // 2 + 1, complex)
    band = slice(50, int(0.35 * min(rate, new)))
    spectrum[band] = rng.standard_normal(band.stop - 50) + 1j * rng.standard_normal(band.stop - 50)
    signal = np.fft.irfft(spectrum, rate)
    signal *= 0.3 / signal.std()
    ours = resample(signal.astype(np.float32), rate, new)
    expected = by_fft(signal, new)
    assert ours.shape == expected.shape
    inside = slice(500, -500)
    error = np.sqrt(np.mean((ours - expected)[inside] ** 2)) / expected.std()
    assert error < 5e-3


def test_resampled_length_of_an_odd_rate(tmp_path: Path) -> None:
    path = pcm16(tmp_path / "a.wav", noise(1001), 11025)
    assert read_clip(path, 16000).shape == (-(-1001 * 16000 // 11025),)


# Bad files


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(AsdError, match=r"gone\.wav: is not there"):
        read_clip(tmp_path / "gone.wav", 16000)


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(AsdError, match=r"a\.wav: is a folder"):
        read_clip(tmp_path / "a.wav", 16000)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pcm16(tmp_path / "a.wav", noise())
    path.chmod(0)
    if os.geteuid() == 0:  # root may read everything

        def refuse(self: Path, mode: str = "r") -> object:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AsdError, match=r"a\.wav: may not be read"):
        read_clip(path, 16000)


def test_disk_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, mode: str = "r") -> object:
        raise OSError(5, "Input/output error")

    path = pcm16(tmp_path / "a.wav", noise())
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(AsdError, match=r"a\.wav: cannot be read \(Input/output error\)"):
        read_clip(path, 16000)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(AsdError, match=r"a\.wav: empty file \(0 bytes\)"):
        read_clip(tmp_path / "a.wav", 16000)


def test_header_without_samples(tmp_path: Path) -> None:
    path = pcm16(tmp_path / "a.wav", np.zeros(0, np.int16))
    assert path.stat().st_size == 44
    with pytest.raises(AsdError, match=r"a\.wav: has a header but no samples"):
        read_clip(path, 16000)


def test_header_cut_before_the_samples(tmp_path: Path) -> None:
    """Nothing of the data is there, but the header says that it should be."""
    path = pcm16(tmp_path / "a.wav", noise())
    path.write_bytes(path.read_bytes()[:44])
    with pytest.raises(AsdError, match="cut short, 3200 bytes"):
        read_clip(path, 16000)


@pytest.mark.parametrize("size", [3, 11, 20, 39])
def test_cut_inside_the_header(tmp_path: Path, size: int) -> None:
    path = pcm16(tmp_path / "a.wav", noise())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ClipError, match=r"a\.wav: .*copy it again"):
        read_clip(path, 16000)


@pytest.mark.parametrize("lost", [1, 2, 1000])
def test_truncated(tmp_path: Path, lost: int) -> None:
    """libsndfile alone reads such a file without an error; that is why the chunks are compared."""
    path = pcm16(tmp_path / "a.wav", noise())
    path.write_bytes(path.read_bytes()[:-lost])
    assert len(soundfile.read(path)[0]) < 1600
    with pytest.raises(AsdError, match=rf"a\.wav: cut short, {lost} bytes"):
        read_clip(path, 16000)


def test_truncated_after_other_chunks(tmp_path: Path) -> None:
    """The data chunk is found behind chunks of odd and even length."""
    whole = pcm16(tmp_path / "a.wav", noise()).read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"abcde\0" + b"junk" + struct.pack("<I", 4) + b"1234"
    data = whole[:36] + extra + whole[36:]
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    path = tmp_path / "b.wav"
    path.write_bytes(data)
    assert read_clip(path, 16000).shape == (1600,)
    path.write_bytes(data[:-10])
    with pytest.raises(AsdError, match="cut short, 10 bytes"):
        read_clip(path, 16000)


def test_chunk_after_the_samples_may_be_cut(tmp_path: Path) -> None:
    path = pcm16(tmp_path / "a.wav", noise())
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 100) + b"abc")
    assert read_clip(path, 16000).shape == (1600,)


def test_truncated_rf64(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), 16000, format="RF64", subtype="PCM_16")
    assert path.read_bytes()[:4] == b"RF64"
    assert read_clip(path, 16000).shape == (1600,)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(AsdError, match="cut short, 6 bytes"):
        read_clip(path, 16000)


def test_truncated_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), 16000, subtype="PCM_16", endian="BIG")
    assert path.read_bytes()[:4] == b"RIFX"
    np.testing.assert_array_equal(read_clip(path, 16000), noise() / 32768)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(AsdError, match="cut short, 6 bytes"):
        read_clip(path, 16000)


def test_streamed_wav_of_unknown_length(tmp_path: Path) -> None:
    """Programs that write to a pipe leave the sizes at their largest value."""
    data = bytearray(pcm16(tmp_path / "a.wav", noise()).read_bytes())
    data[4:8] = data[40:44] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(data)
    np.testing.assert_array_equal(read_clip(tmp_path / "a.wav", 16000), noise() / 32768)


def test_not_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"<html>404 Not Found</html>" * 50)
    with pytest.raises(AsdError, match=r"a\.wav: no readable WAV or FLAC file .*convert"):
        read_clip(path, 16000)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("OGG", "VORBIS"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"), ("AIFF", "PCM_16")],
)
def test_lossy_and_other_sound_files_are_refused(
    tmp_path: Path, container: str, subtype: str
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(8000) / 32768, 16000, format=container, subtype=subtype)
    with pytest.raises(AsdError, match=rf"a\.wav: holds {container} with {subtype}, not plain WAV"):
        read_clip(path, 16000)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_companded_files_count_as_8_bit(tmp_path: Path, subtype: str) -> None:
    values = noise() / 32768
    soundfile.write(tmp_path / "a.wav", values, 16000, subtype=subtype)
    np.testing.assert_allclose(read_clip(tmp_path / "a.wav", 16000), values, atol=0.05)
    assert facts_of(tmp_path / "a.wav").subtype in EIGHT_BIT


def test_flac_without_a_length(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise() / 32768, 16000, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(AsdError, match=r"a\.wav: does not say how long it is"):
        read_clip(path, 16000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_and_inf(tmp_path: Path, bad: float, subtype: str) -> None:
    values = np.full(100, 0.1)
    values[[3, 50]] = bad
    soundfile.write(tmp_path / "a.wav", values, 16000, subtype=subtype)
    with pytest.raises(AsdError, match=r"a\.wav: 2 of 100 samples are NaN or infinite"):
        read_clip(tmp_path / "a.wav", 16000)


def test_inspecting_refuses_the_same(tmp_path: Path) -> None:
    path = pcm16(tmp_path / "a.wav", noise())
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ClipError, match="cut short, 8 bytes") as caught:
        facts_of(path)
    assert caught.value.path == path
    assert "a.wav" not in caught.value.reason


def test_real_recording(real_audio: Path) -> None:
    path = real_audio / "mimii_fan/fan/train/normal_id_00_00000000.wav"
    clip = read_clip(path, 16000)
    with wave.open(str(path)) as file:
        expected = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert clip.shape == (160000,)
    np.testing.assert_array_equal(clip, expected)
