/** flash.config.json: one file that describes a site. The zod schema is the only description; the JSON schema follows. */
import { z } from "zod";
import { EspalierError } from "../errors";
import { alertRules, alertRulesSchema } from "./alert-rules";

const environment = z
  .strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of an environment variable") })
  .describe("Taken from this environment variable when a command needs it");

/** WiFi wants 8 to 63 characters of printable ASCII, or none at all. */
const password = z
  .string()
  .regex(/^([ -~]{8,63})?$/, "must have 8 to 63 printable ASCII characters, or none for an open mesh")
  .describe("8 to 63 characters, or none for an open mesh");

const meshName = z
  .string()
  .regex(/^[ -~]{1,23}$/, "must have 1 to 23 printable ASCII characters")
  .describe("Network name of the mesh; access points append 9 characters to it");

const mesh = z.strictObject({
  name: meshName,
  ssid: z
    .string()
    .regex(/^[ -~]{1,32}$/, "must have 1 to 32 printable ASCII characters")
    .optional()
    .describe("One SSID for all access points, to share a mesh with C++ painlessMesh nodes"),
  password: z.union([password, environment]),
  port: z.int().min(1).max(65534).default(5555).describe("TCP port of links; the airwave uses the next one"),
  channel: z.int().min(0).max(13).default(0).describe("WiFi channel, 1 to 13; 0 is 1"),
});

const keys = z.strictObject({
  public: z.string().min(1).optional().describe("File with the public key that updates must be signed for"),
  private: z
    .union([z.string().min(1), environment])
    .optional()
    .describe("File with the private key; stays on the laptop"),
  mesh: z
    .union([z.strictObject({ file: z.string().min(1) }), environment])
    .optional()
    .describe("The key of control messages, which every node gets: a file or an environment variable with its text"),
});

const firmware = z.union([
  z.strictObject({
    path: z.string().min(1).describe("An Espruino release (.tgz), a folder with its .bin files, or a merged .bin"),
  }),
  z.strictObject({
    url: z.url({ protocol: /^https?$/ }),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits in lower case"),
  }),
]);

const word = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, "must be a word of small letters, digits and hyphens");

/** Length limits keep what a board must hold small. */
const bridge = z.strictObject({
  host: z.string().min(1).max(100).describe("Address of the broker; a name costs look-ups that block the board"),
  port: z.int().min(1).max(65535).optional().describe("1883 unless given; a board speaks no TLS"),
  user: z.string().min(1).max(100).optional(),
  password: z.union([z.string().min(1).max(100), environment]).optional(),
  prefix: z
    .string()
    .regex(/^[^+#$/\s][^+#]{0,40}$/, "must be 1 to 41 characters without + or #")
    .optional()
    .describe('In front of all topics; "mesh" unless given'),
  interval: z.int().min(5).max(3600).optional().describe("Seconds between reports; 30 unless given"),
  timeServer: z.string().max(15).optional().describe("Address of an SNTP server; without it times are 0"),
  commandKey: z
    .union([z.string().min(16).max(64), environment])
    .optional()
    .describe("Without it there are no commands"),
});

const node = z
  .strictObject({
    name: word.optional(),
    mac: z
      .string()
      .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i, 'must look like "24:0a:c4:12:34:56"')
      .transform((mac) => mac.toLowerCase())
      .optional()
      .describe('The chip\'s own address, as "espalier read-mac" prints it'),
    port: z.string().min(1).optional().describe("Where the board is plugged in"),
    board: z.string().min(1).optional().describe("A file in boards/; by the chip that is found unless given"),
    role: word.default("node"),
    app: z.string().min(1).optional().describe("The application's TypeScript module; a node without one only relays"),
    root: z.boolean().optional().describe("The mesh grows from this node"),
    leaf: z.boolean().optional().describe("No access point of its own"),
    station: z
      .strictObject({ ssid: z.string().min(1).max(32), password: z.union([password, environment]) })
      .optional()
      .describe("A router to join instead of a parent in the mesh"),
    dashboard: z
      .strictObject({
        token: z
          .union([z.string().regex(/^[\x21-\x7e]{8,64}$/, "must have 8 to 64 printable characters"), environment])
          .optional()
          .describe("What changes need; without it the page is for reading only"),
        port: z.int().min(1).max(65535).default(80),
      })
      .optional()
      .describe('Of role "dashboard"'),
    bridge: bridge.optional().describe('MQTT, for a node with the role "bridge"'),
    telemetrySeconds: z
      .int()
      .min(10)
      .max(1200)
      .multipleOf(5)
      .optional()
      .describe("Seconds between telemetry frames; 60 unless given"),
    alerts: alertRulesSchema
      .superRefine((rules, context) => {
        try {
          alertRules(rules);
        } catch (error) {
          if (!(error instanceof EspalierError)) throw error;
          context.addIssue({ code: "custom", message: error.message });
        }
      })
      .optional()
      .describe('Of role "root", which judges the fleet on the board: what differs from the usual alert rules'),
    statusSeconds: z.int().min(10).max(3600).optional().describe("Seconds between painlessMesh status packages (604)"),
  })
  .refine((one) => one.mac !== undefined || one.port !== undefined, "needs a mac or a port to be recognised by");

export const siteSchema = z
  .strictObject({
    $schema: z.string().optional(),
    mesh,
    keys: keys.optional(),
    firmware: z
      .record(z.string().min(1), firmware)
      .default({})
      .describe("Espruino for each board, by the board's name"),
    version: z
      .string()
      .regex(/^\d{1,3}\.\d{1,3}\.\d{1,5}$/, 'must be three numbers such as "1.4.2"')
      .default("0.1.0")
      .describe("Version of what is flashed"),
    nodes: z.array(node).default([]).describe("Nodes with a role or an application of their own"),
    default: z
      .strictObject({ role: word.default("node"), app: z.string().min(1).optional() })
      .optional()
      .describe("Every board that is not listed; without it such boards are refused"),
    baud: z.int().min(9600).max(3_000_000).default(921600).describe("Rate for flashing; falls back to 115200"),
  })
  .superRefine((site, context) => {
    for (const key of ["mac", "port", "name"] as const) {
      const seen = new Map<string, number>();
      site.nodes.forEach((one, index) => {
        const value = one[key];
        if (value === undefined) return;
        const first = seen.get(value);
        if (first !== undefined)
          context.addIssue({ code: "custom", path: ["nodes", index, key], message: `is that of nodes.${first} too` });
        else seen.set(value, index);
      });
    }
    const roots = site.nodes.flatMap((one, index) => (one.root ? [index] : []));
    if (roots.length > 1)
      context.addIssue({
        code: "custom",
        path: ["nodes", roots[1]!, "root"],
        message: `nodes.${roots[0]} is the root already`,
      });
  });

export type Site = z.infer<typeof siteSchema>;
export type SiteNode = Site["nodes"][number];
export type Secret = string | { env: string };
export type FirmwareSource = Site["firmware"][string];

/** JSON schema of flash.config.json, for editors (flash.config.schema.json). */
export function siteJsonSchema(): unknown {
  return z.toJSONSchema(siteSchema, { io: "input" });
}
