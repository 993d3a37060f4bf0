/**
 * Where things stand inside the flash regions. The loader, the slots and the laptop's flasher share this page.
 *
 * Slot: page 0 is its header, the bundle's code follows from page 1.
 *   0   magic "ESP1"      4  u32 sequence number (the newest good slot runs)
 *   8   u32 code bytes   12  u32 bytes of the manifest text at 64
 *   16  marks, one byte each, 0xFF until cleared to 0: verified, confirmed, bad
 *   20  eight attempt marks, one cleared before each start of an unconfirmed image
 *   28  id of the image, 8 bytes           64  manifest, JSON text
 *
 * Stage: pages 0..2 are its header, chunk frames follow at a stride of 1024 bytes.
 *   0   magic "ESPT"      4  id of the image, 8 bytes    12  u16 bytes of the blob
 *   16  marks: blob verified, payload complete, given up, payload pages erased
 *   32  one mark a payload chunk, cleared when the chunk's frame is stored
 *   1024 the blob
 *
 * State: one byte a start since the page was last erased: 0xFE when the node started, 0xFC when it then restarted itself
 * on purpose.
 */
export const AREA_FILE = "espalier";

export const SLOT_MAGIC = "ESP1";
export const SLOT_SEQUENCE = 4;
export const SLOT_CODE_BYTES = 8;
export const SLOT_MANIFEST_BYTES = 12;
export const SLOT_VERIFIED = 16;
export const SLOT_CONFIRMED = 17;
export const SLOT_BAD = 18;
export const SLOT_ATTEMPTS = 20;
export const SLOT_ID = 28;
export const SLOT_MANIFEST = 64;
/** Bytes before the code. */
export const SLOT_HEADER = 4096;
/** Starts that an unconfirmed image gets. */
export const MAX_ATTEMPTS = 3;

export const STAGE_MAGIC = "ESPT";
export const STAGE_ID = 4;
export const STAGE_BLOB_BYTES = 12;
export const STAGE_BLOB_OK = 16;
export const STAGE_COMPLETE = 17;
export const STAGE_GIVEN_UP = 18;
export const STAGE_ERASED = 19;
/** Offered to everybody, not to named nodes alone: it may be handed on to whoever asks for something newer. */
export const STAGE_FREE = 20;
export const STAGE_MARKS = 32;
export const STAGE_BLOB = 1024;
export const STAGE_HEADER = 12288;
/** Distance between chunk frames. */
export const STAGE_STRIDE = 1024;

export const MARK = "\x00";
export const UNMARKED = "\xff";
export const STATE_STARTED = "\xfe";
export const STATE_RESTARTED = "\xfc";
