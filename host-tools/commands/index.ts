import type { CommandEntry } from "../command";

/* eslint-disable @typescript-eslint/no-require-imports -- a command's module is loaded when it is asked for */

/** All commands. Their modules load one by one: one may need the compiler, another the simulator or a serial port. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "build",
    summary: "build an application and the firmware into one script for a board",
    load: () => (require("./build") as typeof import("./build")).build,
  },
  {
    name: "boards",
    summary: "list the boards that firmware can be built for",
    load: () => (require("./boards") as typeof import("./boards")).boards,
  },
  {
    name: "simulate",
    summary: "play a scenario on virtual boards and check what it expects",
    load: () => (require("./simulate") as typeof import("./simulate")).simulate,
  },
  {
    name: "rollout",
    summary: "look at rollouts, and pause, resume, approve, abort or undo them",
    load: () => (require("./rollout") as typeof import("./rollout")).rollout,
  },
  {
    name: "demo",
    summary: "update twenty virtual boards over their mesh, without any hardware",
    load: () => (require("./demo") as typeof import("./demo")).demo,
  },
  {
    name: "demo-usb",
    summary: "flash, inject and update three virtual boards, without any hardware",
    load: () => (require("./demo-usb") as typeof import("./demo-usb")).demoUsb,
  },
  {
    name: "status",
    summary: "how the nodes of a mesh are doing",
    load: () => (require("./status") as typeof import("./status")).status,
  },
  {
    name: "dashboard",
    summary: "a page that shows the mesh live: map, history, alerts, updates",
    load: () => (require("./dashboard") as typeof import("./dashboard")).dashboard,
  },
  {
    name: "push",
    summary: "send an update through a mesh",
    load: () => (require("./push") as typeof import("./push")).push,
  },
  {
    name: "bridge",
    summary: "tell MQTT, Home Assistant, Prometheus or InfluxDB about a mesh",
    load: () => (require("./bridge") as typeof import("./bridge")).bridge,
  },
  {
    name: "flash",
    summary: "put Espruino, firmware and settings on boards over USB",
    load: () => (require("./flash") as typeof import("./flash")).flash,
  },
  {
    name: "inject",
    summary: "make a node of a board that runs Espruino already, over its console",
    load: () => (require("./inject") as typeof import("./inject")).inject,
  },
  {
    name: "console",
    summary: "a JavaScript prompt on a board",
    load: () => (require("./console") as typeof import("./console")).consoleCommand,
  },
  {
    name: "monitor",
    summary: "show what a board says",
    load: () => (require("./monitor") as typeof import("./monitor")).monitor,
  },
  {
    name: "storage",
    summary: "list, read and write files of a board or of a Storage image",
    load: () => (require("./storage") as typeof import("./storage")).storage,
  },
  {
    name: "read-mac",
    summary: "chips and addresses of the boards that are plugged in",
    load: () => (require("./read-mac") as typeof import("./read-mac")).readMac,
  },
  {
    name: "erase",
    summary: "erase a board's whole flash",
    load: () => (require("./erase") as typeof import("./erase")).erase,
  },
  {
    name: "keygen",
    summary: "make a key that signs images, or one for control messages",
    load: () => (require("./keygen") as typeof import("./keygen")).keygen,
  },
  {
    name: "sign",
    summary: "sign an image, so that nodes take it",
    load: () => (require("./sign") as typeof import("./sign")).sign,
  },
  {
    name: "verify",
    summary: "tell whether an image was signed by a key",
    load: () => (require("./verify") as typeof import("./verify")).verify,
  },
];
