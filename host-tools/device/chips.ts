/** The chips that Espruino and this flasher know, as Espressif numbers them. */
export type ChipName = "ESP32" | "ESP32-C3" | "ESP32-S3";

export interface ChipFacts {
  name: ChipName;
  /** Bytes 12 and 13 of an image's header (esp_chip_id_t of ESP-IDF). */
  imageId: number;
  /** Flash address of the second-stage boot loader. */
  bootloader: number;
}

export const CHIPS: readonly ChipFacts[] = [
  { name: "ESP32", imageId: 0, bootloader: 0x1000 },
  { name: "ESP32-C3", imageId: 5, bootloader: 0 },
  { name: "ESP32-S3", imageId: 9, bootloader: 0 },
];

/** Names of chips that are refused, for messages: esp_chip_id_t. */
const OTHER_CHIPS: Record<number, string> = {
  2: "ESP32-S2",
  12: "ESP32-C2",
  13: "ESP32-C6",
  16: "ESP32-H2",
  18: "ESP32-P4",
  23: "ESP32-C5",
};

export function chipNamed(name: string): ChipFacts | undefined {
  return CHIPS.find((chip) => chip.name === name);
}

/** "ESP32-C3" for 5; "chip 99" for what nobody knows. */
export function chipNameOf(imageId: number): string {
  return CHIPS.find((chip) => chip.imageId === imageId)?.name ?? OTHER_CHIPS[imageId] ?? `chip ${imageId}`;
}
