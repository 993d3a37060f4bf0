import * as fs from "node:fs";
import { InvalidArgumentError } from "commander";
import { assemble } from "../build/image";
import { encodeImageFile } from "../build/image-file";
import { signImage } from "../build/sign-image";
import { type CommandDefinition, requireOptions } from "../command";
import { keyPairIn, publicKeyIn } from "../config/keys";
import { EspalierError, EXIT } from "../errors";
import { imageFromFile } from "../gateway/push-source";

interface SignOptions {
  key: string;
  out?: string;
  counter?: number;
  downgradeFrom?: number;
  nextKey?: string;
}

function parseCounter(value: string): number {
  const count = Number(value);
  if (!/^\d+$/.test(value) || count > 0x7fffffff) throw new InvalidArgumentError("Expected 0 to 2147483647.");
  return count;
}

export const sign: CommandDefinition = {
  examples: [
    { line: "sign sensor.espalier --key keys/images", comment: "sign it in place" },
    {
      line: "sign sensor.espalier --key keys/images --counter 4",
      comment: "nodes that run it take nothing below counter 4 any more",
    },
    {
      line: "sign old.espalier --key keys/images --counter 3 --downgrade-from 4",
      comment: "an older image that nodes of counter 4 shall take all the same",
    },
    {
      line: "sign sensor.espalier --key keys/images --next-key keys/images-2.pub",
      comment: "whoever runs it trusts the next key from then on",
    },
  ],

  configure(command) {
    command
      .argument("<image>", 'an image file, as "espalier build --image" writes it')
      .option("-k, --key <file>", "the private key (required)")
      .option("-o, --out <file>", "write the signed image there; over the unsigned one unless given")
      .option("--counter <n>", "its security counter; as it is unless given", parseCounter)
      .option("--downgrade-from <n>", "let nodes whose counter is at most this go back to it", parseCounter)
      .option("--next-key <file>", "the public key that signs from the next image on");
  },

  async run(context, given, [file]) {
    requireOptions(given, ["key"]);
    const options = given as unknown as SignOptions;
    const path = file as string;
    const out = options.out ?? path;
    const image = imageFromFile(path);
    const { secretKey } = keyPairIn(options.key);
    const manifest = { ...image.manifest };
    if (options.counter !== undefined) manifest.counter = options.counter;
    if (options.downgradeFrom !== undefined) manifest.downgradeFrom = options.downgradeFrom;
    if (options.nextKey !== undefined) manifest.nextKey = publicKeyIn(options.nextKey).toString("base64");
    let signed;
    try {
      signed = await signImage(assemble(manifest, image.chunks), secretKey);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new EspalierError("MANIFEST_TOO_LARGE", error.message, { hint: "Shorten its notes.", cause: error });
    }
    fs.writeFileSync(out, encodeImageFile(signed));
    const { counter, version } = manifest;
    context.report({ image: signed.id, version, counter, file: out }, () => {
      return `${out}: image ${signed.id}, version ${version}, counter ${counter}, signed`;
    });
    return EXIT.ok;
  },
};
