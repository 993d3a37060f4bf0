/** Options of a rollout on the command line, and the policy that they make. */
import { type Command, Option } from "commander";
import { EspalierError, EXIT } from "../errors";
import type { Transport } from "../gateway/distribution";
import { parseAmount, parseDuration, type Policy, parsePolicy, type PolicyInput } from "../gateway/rollout/policy";
import { readPolicyFile } from "../gateway/rollout/policy-file";
import { ROLLOUTS_FOLDER } from "../gateway/rollout/store";

export interface RolloutOptions {
  rollout?: string;
  canaries?: string;
  soak?: string;
  onFailure?: string;
  ifVersion?: string[];
  except?: string[];
  folder: string;
}

export const collect = (text: string, list: string[] = []): string[] => [...list, ...text.split(",")];

export function folderOption(): Option {
  return new Option("--folder <path>", "where rollouts are kept").default(ROLLOUTS_FOLDER);
}

export function addRolloutOptions(command: Command): Command {
  return command
    .option("--rollout <how>", "in waves: progressive, all-at-once, or a rollout file (docs/rollouts.md)")
    .option("--canaries <amount>", "of a progressive rollout: nodes of the first wave, a number or a share")
    .option("--soak <time>", "of a progressive rollout: how long each wave is watched, such as 10m")
    .addOption(
      new Option("--on-failure <what>", "of a rollout, when a wave fails").choices([
        "rollback",
        "abort",
        "pause",
        "continue",
      ]),
    )
    .option("--if-version <range>", "only nodes that run it, such as <1.2.0 or 1.1.*", collect)
    .option("--except <id>", "not this node; may be given again", collect)
    .addOption(folderOption());
}

/** Options that mean nothing without --rollout. @throws EspalierError NEEDS_ROLLOUT */
export function refuseWithoutRollout(options: RolloutOptions): void {
  const given = (["canaries", "soak", "onFailure"] as const).find((name) => options[name] !== undefined);
  if (options.rollout !== undefined || given === undefined) return;
  const flag = given.replace(/([A-Z])/g, (letter) => `-${letter.toLowerCase()}`);
  throw new EspalierError("NEEDS_ROLLOUT", `--${flag} says something about a rollout, and there is none`, {
    hint: "Add --rollout progressive.",
    exitCode: EXIT.usage,
  });
}

/** @throws EspalierError BAD_ROLLOUT, NO_FILE */
export function policyFrom(options: RolloutOptions, transport: Transport, nodes: string[]): Policy {
  const how = options.rollout ?? "all-at-once";
  const named = how === "progressive" || how === "all-at-once";
  const base: PolicyInput = named ? { policy: how } : readPolicyFile(how);
  const input: PolicyInput = { ...base, ...(named ? { transport } : {}) };
  if (options.onFailure !== undefined) input.onFailure = options.onFailure as PolicyInput["onFailure"];
  input.targets = {
    ...base.targets,
    ...(nodes.length > 0 ? { nodes } : {}),
    ...(options.ifVersion ? { versions: options.ifVersion } : {}),
    ...(options.except ? { except: options.except } : {}),
  };
  const policy = parsePolicy(input, named ? "the command line" : how);
  if (options.canaries === undefined && options.soak === undefined) return policy;
  if (how !== "progressive") throw wrong("--canaries and --soak go with --rollout progressive");
  const canaries = options.canaries === undefined ? undefined : parseAmount(options.canaries);
  const soakMs = options.soak === undefined ? undefined : parseDuration(options.soak);
  if (canaries === null || canaries?.value === 0)
    throw wrong('--canaries is a number of nodes, or a share such as "5 %"');
  if (soakMs === null) throw wrong('--soak is a time such as "90s", "10m" or "1h30m"');
  const waves = policy.waves.map((wave, index) => ({
    ...wave,
    nodes: index === 0 && canaries ? canaries : wave.nodes,
    soakMs: soakMs ?? wave.soakMs,
  }));
  return { ...policy, waves };
}

function wrong(message: string): EspalierError {
  return new EspalierError("BAD_ROLLOUT", message, {
    hint: "A rollout file says for each wave what it is to be.",
    exitCode: EXIT.usage,
  });
}
