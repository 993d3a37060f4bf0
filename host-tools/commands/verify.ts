import { signatureOf, verifyImage } from "../build/sign-image";
import { type CommandDefinition, requireOptions } from "../command";
import { publicKeyIn } from "../config/keys";
import { EspalierError, EXIT } from "../errors";
import { imageFromFile } from "../gateway/push-source";

export const verify: CommandDefinition = {
  examples: [
    { line: "verify sensor.espalier --key keys/images.pub", comment: "exit code 1 when it was not signed by that key" },
    { line: "verify sensor.espalier --key keys/images.pub --json", comment: "its manifest as well" },
  ],

  configure(command) {
    command
      .argument("<image>", 'an image file, as "espalier sign" writes it')
      .option("-k, --key <file>", "the public key (required)");
  },

  async run(context, options, [file]) {
    requireOptions(options, ["key"]);
    const path = file as string;
    const image = imageFromFile(path);
    const key = publicKeyIn(options.key as string);
    const unsigned = signatureOf(image).length === 0;
    if (unsigned || !(await verifyImage(image, key))) {
      const what = unsigned ? "is not signed" : `was not signed by ${options.key as string}`;
      throw new EspalierError(unsigned ? "UNSIGNED" : "BAD_SIGNATURE", `${path} ${what}`, {
        hint: unsigned
          ? '"espalier sign" signs it.'
          : "It was changed, or signed by another key. Nodes would refuse it.",
        context: { file: path, image: image.id },
      });
    }
    const manifest = { ...image.manifest, chunkHashes: undefined };
    context.report({ image: image.id, manifest: { ...manifest, chunks: image.chunks.length } }, () =>
      [
        `${path}: signed by ${options.key as string}`,
        `image ${image.id}: ${manifest.product}, ${manifest.hardware} ${manifest.role} ${manifest.version}, counter ${manifest.counter}`,
        ...(manifest.downgradeFrom === undefined ? [] : [`may replace images up to counter ${manifest.downgradeFrom}`]),
        ...(manifest.nextKey === undefined ? [] : [`hands on to the key ${manifest.nextKey}`]),
      ].join("\n"),
    );
    return EXIT.ok;
  },
};
