/**
 * Names that the firmware uses most, and the one letter that each has in every bundle. All other names are shortened to
 * two characters. A line that changes renames something in every bundle, which the next delta has to carry.
 */

/** Members of the firmware's own objects. Letters that packages and messages use as names of fields are left to them. */
export const FREQUENT_MEMBERS: Readonly<Record<string, string>> = {
  payload: "A",
  missing: "B",
  owner: "C",
  blobBytes: "D",
  timeAt: "E",
  timeoutAt: "F",
  rootId: "G",
  running: "H",
  authority: "I",
  ended: "J",
  inbox: "K",
  isRoot: "L",
  manifest: "M",
  syncAt: "N",
  bits: "O",
  has: "P",
  chunks: "Q",
  forMe: "R",
  links: "S",
  part: "T",
  plan: "U",
  polls: "V",
  put: "W",
  asked: "X",
  greets: "Y",
  identity: "Z",
  installs: "_",
  linkTo: "$",
};

/** Names of the program, as the linked script has them. Small letters are left to what functions declare. */
export const FREQUENT_GLOBALS: Readonly<Record<string, string>> = {
  engine: "A",
  createRouter_router: "B",
  createNode_mesh2: "C",
  createReceiver_node2: "D",
  createReceiver_transfer: "F",
  createMesh_config: "G",
  Math$min: "H",
  createEspruinoEngine_wifi: "I",
  String$fromCharCode: "J",
  createRouter_links: "L",
  createJoin_phase: "M",
  createNode_identity: "N",
  createMesh_bus: "O",
  Math$floor: "P",
  createJoin_station: "Q",
  boot: "R",
  createWifi_wifi: "S",
  isUint32: "T",
  ERROR_MANIFEST: "U",
  createRouter_stats: "V",
  Math$max: "W",
  le32: "X",
  createReceiver_offered: "Y",
  createSerialLink_peer: "Z",
};
