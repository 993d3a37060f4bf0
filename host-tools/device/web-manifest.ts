/** The manifest that esp-web-tools flashes from a web page: https://esphome.github.io/esp-web-tools/ */
import type { ChipName } from "./chips";
import type { FlashRegion } from "./flash-plan";

export interface WebManifest {
  name: string;
  version: string;
  new_install_prompt_erase: boolean;
  builds: { chipFamily: ChipName; parts: { path: string; offset: number }[] }[];
}

export interface WebBuild {
  chip: ChipName;
  regions: readonly FlashRegion[];
}

/** The manifest and the files it names, which lie beside it. */
export function webManifest(
  name: string,
  version: string,
  builds: readonly WebBuild[],
): { manifest: WebManifest; files: Map<string, Buffer> } {
  const files = new Map<string, Buffer>();
  const manifest: WebManifest = {
    name,
    version,
    new_install_prompt_erase: true,
    builds: builds.map(({ chip, regions }) => ({
      chipFamily: chip,
      parts: [...regions]
        .sort((a, b) => a.address - b.address)
        .map((region) => {
          const path = `${chip.toLowerCase()}-${region.name}.bin`;
          files.set(path, region.data);
          return { path, offset: region.address };
        }),
    })),
  };
  return { manifest, files };
}
