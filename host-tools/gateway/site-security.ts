/** What a command that changes nodes takes from the site's file: its keys. */
import { existsSync } from "node:fs";
import * as path from "node:path";
import type { Image } from "../build/image";
import { signImage, verifyImage } from "../build/sign-image";
import { meshKeyOf, signingKeyOf } from "../config/keys";
import { CONFIG_FILE, loadSite } from "../config/load";

export interface SiteSecurity {
  /** Of control messages; "" for a mesh that obeys everybody. */
  meshKey: string;
  /** The image signed with the site's private key; as it is when it was signed by that key already, or there is none. */
  sign(image: Image): Promise<Image>;
}

const OPEN: SiteSecurity = { meshKey: "", sign: (image) => Promise.resolve(image) };

/**
 * By the file that is named, or flash.config.json if it is there; simulated meshes have no site.
 * @throws EspalierError CONFIG_..., KEY_FILE, SECRET_MISSING
 */
export function siteSecurity(via: string, config: string | undefined): SiteSecurity {
  if (via.startsWith("sim:") || (config === undefined && !existsSync(CONFIG_FILE))) return OPEN;
  const { site, file } = loadSite(config ?? CONFIG_FILE);
  const folder = path.dirname(file);
  return {
    meshKey: meshKeyOf(site, folder) ?? "",
    async sign(image) {
      const pair = signingKeyOf(site, folder);
      if (!pair || (await verifyImage(image, pair.publicKey))) return image;
      return signImage(image, pair.secretKey);
    },
  };
}
