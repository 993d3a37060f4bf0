/** Networks of their own for processes on one machine: Linux network namespaces, joined by bridges. */
import { spawnSync } from "node:child_process";

function run(command: string): string {
  const result = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${command}: ${result.stderr}`);
  return result.stdout;
}

let made = 0;

/** True when this process may make network namespaces. */
export function hasNamespaces(): boolean {
  const name = `esp${process.pid}probe`;
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return false;
  // Whether links can be made, a container may forbid separately.
  const linked = spawnSync("ip", ["-n", name, "link", "add", "name", "ap", "type", "bridge"]).status === 0;
  spawnSync("ip", ["netns", "del", name]);
  return linked;
}

/** A machine with no network but what it is given. */
export class Machine {
  readonly name = `esp${process.pid}n${made++}`;
  /** Runs a command inside. */
  readonly inside = ["ip", "netns", "exec", this.name];
  private stations = 0;

  constructor() {
    run(`ip netns add ${this.name} && ip -n ${this.name} link set lo up`);
  }

  /** Opens an access point: a bridge, and `ip` of a /24 network on it. */
  openAccessPoint(ip: string): void {
    const n = this.name;
    run(
      `ip -n ${n} link add name ap type bridge && ip -n ${n} addr add ${ip}/24 broadcast + dev ap && ip -n ${n} link set ap up`,
    );
  }

  /** Joins the access point of another machine as its station with address `ip`. */
  join(other: Machine, ip: string): void {
    const port = `sta${other.stations++}`;
    run(
      `ip -n ${this.name} link add name sta type veth peer name ${port} netns ${other.name} && ` +
        `ip -n ${other.name} link set ${port} master ap && ip -n ${other.name} link set ${port} up && ` +
        `ip -n ${this.name} addr add ${ip}/24 broadcast + dev sta && ip -n ${this.name} link set sta up`,
    );
  }

  /** Its links go with it. */
  remove(): void {
    run(`ip netns del ${this.name}`);
  }
}
