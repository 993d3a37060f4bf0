/** What may be asked of a mesh over MQTT once the envelope has been verified: arguments checked, work done, answer given. */
import { z } from "zod";
import { EspalierError } from "../errors";
import type { NodeView } from "../gateway/fleet-view";
import { nodePayload } from "./payloads";
import type { CommandName } from "./topics";
import type { UpdateDesk } from "./updates";

export interface CommandHost {
  nodes(): NodeView[];
  /** To one node, or to all with 0; resolves when the node has it. Rejects with the reason. */
  send(to: number, text: string): Promise<void>;
  /** Asks the mesh for fresh status of these nodes, or of all; resolves when the answers are in the views. */
  query?(nodes: readonly number[]): Promise<void>;
  updates: UpdateDesk;
}

const id = z.int().min(1).max(0xffffffff);

const ARGUMENTS = {
  message: z.strictObject({ to: z.int().min(0).max(0xffffffff), text: z.string().min(1).max(1024) }),
  status: z.strictObject({ node: id.optional() }),
  "update/start": z.strictObject({
    image: z.string().regex(/^[0-9a-f]{8,64}$/),
    nodes: z.array(id).min(1).max(1000).optional(),
  }),
  "update/abort": z.strictObject({}),
} as const satisfies Record<CommandName, z.ZodType>;

function parse<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new EspalierError("COMMAND_ARGUMENTS", `${issue.path.join(".") || "arguments"}: ${issue.message}`);
}

/** @throws EspalierError COMMAND_ARGUMENTS, UNKNOWN_NODE, and what the update desk throws */
export async function execute(host: CommandHost, command: CommandName, body: unknown): Promise<object> {
  const view = (node: number): NodeView => {
    const found = host.nodes().find((one) => one.id === node);
    if (!found) throw new EspalierError("UNKNOWN_NODE", `there is no node ${node}`);
    return found;
  };
  switch (command) {
    case "message": {
      const { to, text } = parse(ARGUMENTS.message, body);
      if (to !== 0) view(to);
      await host.send(to, text);
      return { to };
    }
    case "status": {
      const { node } = parse(ARGUMENTS.status, body);
      if (node !== undefined) view(node);
      await host.query?.(node === undefined ? [] : [node]);
      const views = node === undefined ? host.nodes() : [view(node)];
      return { nodes: views.map((one) => nodePayload(one, host.updates.info(one))) };
    }
    case "update/start": {
      const { image, nodes } = parse(ARGUMENTS["update/start"], body);
      for (const node of nodes ?? []) view(node);
      const targets =
        nodes ??
        host
          .nodes()
          .filter((one) => host.updates.newerFor(one)?.id.startsWith(image))
          .map((one) => one.id);
      const { id: rollout, state } = host.updates.start(image, targets);
      return { rollout, state, nodes: targets };
    }
    case "update/abort":
      parse(ARGUMENTS["update/abort"], body);
      return { unstoppable: host.updates.abort() };
  }
}
