"""The defences of `SECURITY.md`: where each is in the code, and which test fails without it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Defence:
    """A piece of code that is there once in its file, and what would stand there without it."""

    threat: str
    """How the line of `SECURITY.md` begins."""
    file: str
    code: str
    without: str
    test: str


_FILES, _LIMITS = "sonic_ops/core/files.py", "flows/rows/limits.py"
_TABLES, _OUTPUTS = "flows/rows/tables.py", "flows/preflight/outputs.py"
_PREFECT, _SMALL = "flows/supervisor/prefect_settings.py", "a small table unpacks to gigabytes"
_TEST, _NESTED = "tests/security/test_", "deeply nested JSON or YAML"
_PASSWORD, _LEAVES = "a password or signature in a URL", "outputs leave the output folder"
_OTHERS, _PLANTED = "other users or web pages use Prefect's", "a planted record lets"
_LYING = "weights with lying headers"

DEFENCES: Final = (
    Defence(
        "a playlist",
        "sonic_ops/core/containers.py",
        '{"format_whitelist": _FORMATS, "protocol_whitelist": protocols}',
        "{}",
        f"{_TEST}playlists.py::test_no_reader_follows_a_playlist",
    ),
    Defence(
        "a text file becomes an image",
        "sonic_ops/core/containers.py",
        'f"{_OPENERS},{_PAINTERS}"',
        "_OPENERS",
        f"{_TEST}playlists.py::test_no_text_becomes_an_image",
    ),
    Defence(
        "a device, pipe, socket",
        _FILES,
        "    _require_file(path)\n    # Without",
        "    # Without",
        f"{_TEST}special_files.py::test_no_reader_opens_what_is_no_file",
    ),
    Defence(
        _SMALL,
        _LIMITS,
        "MAX_CELL: Final = 1 << 20",
        "MAX_CELL: Final = 1 << 40",
        f"{_TEST}tables.py::test_a_large_cell_of_a_small_parquet_file_is_one_bad_row",
    ),
    Defence(
        _SMALL,
        _LIMITS,
        "MAX_LINE: Final = 4 << 20",
        "MAX_LINE: Final = 4 << 40",
        f"{_TEST}tables.py::test_a_line_without_end_is_one_bad_row",
    ),
    Defence(
        _SMALL,
        _LIMITS,
        "MAX_VALUES: Final = 10_000",
        "MAX_VALUES: Final = 10**10",
        f"{_TEST}tables.py::test_many_values_in_a_cell_are_one_bad_row",
    ),
    Defence(
        _SMALL,
        "flows/rows/manifest.py",
        "if copy.tell() - start > MAX_BYTES:",
        "if False:",
        f"{_TEST}tables.py::test_a_packed_manifest_that_unpacks_without_end_is_refused",
    ),
    Defence(
        _SMALL,
        _TABLES,
        "if size > MAX_UNPACKED_BYTES:",
        "if False:",
        f"{_TEST}tables.py::test_an_excel_file_that_unpacks_to_gigabytes_is_refused",
    ),
    Defence(
        _SMALL,
        _TABLES,
        "if num_empty > MAX_EMPTY:",
        "if False:",
        f"{_TEST}tables.py::test_the_number_of_a_row_in_an_excel_file_costs_nothing",
    ),
    Defence(
        _NESTED,
        _TABLES,
        "except (ValueError, RecursionError) as error:",
        "except ValueError as error:",
        f"{_TEST}tables.py::test_deeply_nested_json_is_one_bad_row",
    ),
    Defence(
        _NESTED,
        "sonic_ops/core/presets.py",
        "yaml.YAMLError, RecursionError, ValueError",
        "yaml.YAMLError, ValueError",
        f"{_TEST}tables.py::test_deeply_nested_yaml_is_one_sentence",
    ),
    Defence(
        "a URL leads to a cloud's metadata service",
        "sonic_ops/core/hosts.py",
        'if _is_metadata(ip_address(str(address[0]).partition("%")[0])):',
        "if False:",
        f"{_TEST}hosts.py::test_no_metadata_service_is_asked",
    ),
    Defence(
        "an image of billions of pixels",
        "sonic_ops/picture/images.py",
        "if width * height > max_megapixels * 1e6:",
        "if False:",
        "tests/sonic_ops/picture/test_images.py::"
        "test_a_decompression_bomb_is_refused_before_it_is_decoded",
    ),
    Defence(
        _PASSWORD,
        "sonic_ops/core/errors.py",
        "without_secrets(message), without_secrets(remedy)",
        "message, remedy",
        f"{_TEST}secrets.py::test_no_error_has_a_secret",
    ),
    Defence(
        _PASSWORD,
        "flows/state/results.py",
        "object.__setattr__(self, name, without_secrets(text))",
        "pass",
        f"{_TEST}secrets.py::test_no_journal_has_a_secret",
    ),
    Defence(
        _PASSWORD,
        "flows/state/receipts.py",
        '"output": printable(output)',
        '"output": output',
        f"{_TEST}secrets.py::test_no_receipt_or_owner_has_a_secret",
    ),
    Defence(
        _PASSWORD,
        "flows/console/terminal.py",
        "in_one_line(without_secrets(text))",
        "in_one_line(text)",
        f"{_TEST}secrets.py::test_no_terminal_shows_a_secret",
    ),
    Defence(
        "an error quotes a file",
        "sonic_ops/core/presets.py",
        "cannot be read: {reason or 'it is not YAML'}{where}",
        "cannot be read: {error}",
        f"{_TEST}secrets.py::test_no_error_quotes_a_file_that_is_something_else",
    ),
    Defence(
        "control codes, line ends",
        "flows/console/terminal.py",
        "in_one_line(without_secrets(text))",
        "without_secrets(text)",
        f"{_TEST}terminal.py::test_no_field_of_a_row_moves_a_terminal",
    ),
    Defence(
        "control codes, line ends",
        "flows/console/terminal.py",
        "markup=False, highlight=False, emoji=False",
        "highlight=False",
        f"{_TEST}terminal.py::test_markup_and_emoji_are_text",
    ),
    Defence(
        "HTML or scripts in any field",
        "flows/report/page.py",
        "autoescape=True",
        "autoescape=False",
        "tests/flows/report/test_report.py::test_nothing_from_the_manifest_becomes_a_tag",
    ),
    Defence(
        "HTML or scripts in any field",
        "flows/report/page.html.j2",
        "default-src 'none'; img-src",
        "img-src",
        "tests/flows/report/test_report.py::test_the_page_needs_nothing_but_itself_and_the_videos",
    ),
    Defence(
        _OTHERS,
        _PREFECT,
        'os.environ["PREFECT_SERVER_API_AUTH_STRING"] = os.environ[',
        "os.environ[",
        f"{_TEST}prefect.py::test_who_has_no_token_gets_nothing",
    ),
    Defence(
        _OTHERS,
        _PREFECT,
        'os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://127.0.0.1:1")',
        "pass",
        f"{_TEST}prefect.py::test_no_web_page_may_read_an_answer",
    ),
    Defence(
        _OTHERS,
        _PREFECT,
        "folder.chmod(0o700)",
        "folder.chmod(0o755)",
        f"{_TEST}secrets.py::test_other_users_cannot_read_the_database",
    ),
    Defence(
        _LEAVES,
        _OUTPUTS,
        "if folder is None:",
        "if True:",
        f"{_TEST}outputs.py::test_no_output_leaves_the_folder",
    ),
    Defence(
        _LEAVES,
        _OUTPUTS,
        "    require_inside(row.output, confine_to)  # or",
        "    # or",
        f"{_TEST}outputs.py::test_a_folder_that_becomes_a_link_is_seen_before_the_video_is_published",
    ),
    Defence(
        _LEAVES,
        "flows/pipeline/schedule.py",
        "confine=True",
        "confine=False",
        f"{_TEST}outputs.py::test_deployments_are_confined",
    ),
    Defence(
        "a file of the user is replaced",
        _OUTPUTS,
        'if origin in ("nothing", "ours") or overwrite:',
        "if True:",
        "tests/faults/test_user_files.py::test_a_file_of_the_user_is_not_replaced[exists_empty]",
    ),
    Defence(
        _PLANTED,
        "flows/commands/orphans.py",
        "if _WORK_FILE.fullmatch(entry[0][len(folder) + 1 :])]",
        "]",
        f"{_TEST}clean.py::test_a_planted_record_removes_nothing_of_others",
    ),
    Defence(
        _PLANTED,
        "flows/commands/orphans.py",
        'if realpath(folder_of(path)) == normpath(f"{root}/{relpath(folder_of(path), folder)}")',
        "",
        f"{_TEST}clean.py::test_nothing_behind_a_link_is_removed",
    ),
    Defence(
        _LYING,
        "sonic_ops/models/inventory.py",
        "if name in found and found[name] != shape",
        "if False",
        f"{_TEST}weights.py::test_weights_of_other_shapes_are_a_wrong_run",
    ),
    Defence(
        _LYING,
        "sonic_ops/models/inventory.py",
        "except (SafetensorError, OSError) as error:",
        "except OSError as error:",
        f"{_TEST}weights.py::test_damaged_weights_are_named_by_the_check",
    ),
    Defence(
        _LYING,
        "sonic_ops/models/inventory.py",
        "except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:",
        "except (OSError, ValueError, RuntimeError, KeyError) as error:",
        f"{_TEST}weights.py::test_damaged_weights_are_a_wrong_run",
    ),
    Defence(
        "a downloaded checkpoint runs code",
        "sonic_ops/released/checkpoint.py",
        "weights_only=True",
        "weights_only=False",
        "tests/sonic_ops/released/test_convert.py::test_a_pickle_that_runs_something_is_not_opened",
    ),
    Defence(
        "NaN in weights or results",
        "sonic_ops/core/finite.py",
        "if not isfinite(total) and not is_finite(tensor):",
        "if False:",
        "tests/faults/test_broken_numbers.py::test_nan_in_one_step_of_one_segment_fails_the_row",
    ),
    Defence(
        "inputs that are nearly right",
        "sonic_ops/core/presets.py",
        'if len(text) > MAX_PRESET or text.count("[") + text.count("{") > MAX_BRACKETS:',
        "if False:",
        "tests/fuzz/test_fuzz.py::"
        "test_a_preset_that_would_take_long_is_refused_before_it_is_parsed",
    ),
    Defence(
        "killed processes fill the folder",
        "sonic_ops/core/scratch.py",
        "    remove_abandoned_once(os.getpid())\n",
        "",
        "tests/sonic_ops/core/test_scratch.py::"
        "test_what_a_killed_process_left_is_removed_and_nothing_else",
    ),
    Defence(
        "Ray's sockets and logs stay behind",
        "cluster/pool/ray_session.py",
        "shutil.rmtree(session, ignore_errors=True)",
        "pass",
        f"{_TEST}ray.py::test_the_folder_of_ray_goes_with_the_run",
    ),
)
