"""The script that reads the provider's arguments from its docs."""

from __future__ import annotations

from scripts.provider_table import from_list, from_schema

BY_HAND = """
## Argument Reference

- `bios` - (Optional) The implementation (defaults
    to `seabios`).
    - `ovmf` - UEFI.
    - `seabios` - SeaBIOS.
- `disk` - (Optional) A disk.
    - `interface` - (Required) Where.
    - `speed` - (Optional) Limits.
        - `read` - (Optional) MB/s.
    - `source` - A file.
- `family`- (Optional) No space before the dash.
- `mount_point`
    - `path` (Required) No dash at all.
    - `password` (Optional) A secret.

## Attribute Reference

- `id` - (Optional) Not an argument.
"""
GENERATED = """
## Schema

### Required

- `id` (String) The name.
- `token` (String, Sensitive) A secret.

### Optional

- `backups` (Block, Optional) Kept backups.

### Read-Only

- `shared` (Boolean) Told by the provider.

<a id="nestedblock--backups"></a>
### Nested Schema for `backups`

Optional:

- `keep_last` (Number) How many.

## Import

- `never` (String) Not an argument.
"""


def test_a_page_by_hand_is_read_by_its_indents() -> None:
    assert from_list(BY_HAND) == {
        "bios": {},
        "disk": {
            "block": {
                "interface": {"required": True},
                "speed": {"block": {"read": {}}},
                "source": {},
            }
        },
        "family": {},
        "mount_point": {"block": {"path": {"required": True}, "password": {"secret": True}}},
    }


def test_a_generated_page_is_read_by_its_headings() -> None:
    assert from_schema(GENERATED) == {
        "id": {"required": True},
        "token": {"required": True, "secret": True},
        "backups": {"block": {"keep_last": {}}},
    }
