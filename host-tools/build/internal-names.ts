/**
 * Members whose names nobody outside a bundle ever sees, and which the minifier may therefore shorten. A name of more than
 * four characters costs Espruino a second variable for each object that has it.
 *
 * They come from the types listed here, which hold state and functions of the running node and nothing that is sent,
 * stored, provisioned or shown. A name is kept all the same when there is any doubt whether it is only theirs: when
 * another type of the firmware has a member of that name (packages, manifests, settings, telemetry are such types), when
 * an object that is sent has a field of that name, when it stands in a text, when the engine uses it, or when code outside
 * the firmware (an application) names anything so.
 */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import * as ts from "typescript";
import { engineNames } from "./overlay";

/** By file in firmware/. */
export const INTERNAL: Readonly<Record<string, readonly string[]>> = {
  "engine/engine.ts": ["Socket", "SocketHandler", "DatagramSocket", "Wifi", "Region", "Engine"],
  "engine/espruino.ts": ["OwnedSocket", "EspruinoSocket", "EspruinoRegion"],
  "mesh/airwave.ts": ["Waiting", "AirwaveStats"],
  "mesh/clock.ts": ["ClockHost", "Clock"],
  "mesh/delivery.ts": ["Parcel", "Delivery"],
  "mesh/events.ts": ["Events"],
  "mesh/join.ts": ["JoinHost", "Join"],
  "mesh/link.ts": ["LinkOwner", "Link"],
  "mesh/router.ts": ["Router"],
  "mesh/tree.ts": ["Nodes"],
  "ota/control-auth.ts": ["ControlMesh", "ControlOptions", "ControlStats", "ControlAuth"],
  "ota/delta.ts": ["DeltaPorts", "DeltaDecoder"],
  "ota/huffman.ts": ["Huffman"],
  "ota/inflate.ts": ["InflateIo", "Inflate"],
  "ota/install.ts": ["Installer"],
  "ota/receiver.ts": ["Receiver"],
  "ota/repair.ts": ["RepairPlan", "RepairPorts", "RepairReceiver", "Row"],
  "ota/server.ts": ["Hop", "ServerStats", "Server"],
  "ota/session.ts": ["Session"],
  "ota/signature.ts": ["Hashing", "Verifier"],
  "ota/slots.ts": ["Installed", "Staged"],
  "ota/transfer.ts": ["Transfer"],
  "ota/trust.ts": ["Trust"],
  "ota/update-node.ts": ["Identity", "ReceiverStats", "UpdateNode"],
  "node.ts": ["NodeParts", "EspalierNode"],
  "status/alerts.ts": ["AlertOptions"],
  "status/fleet.ts": ["FleetNode", "FleetHooks", "FleetOptions"],
  "status/reporter.ts": ["Reporter"],
  "status/root.ts": ["RootStatus"],
  "status/rules.ts": ["RuleSet"],
  "status/stream.ts": ["Stream"],
  "wire/bitmap.ts": ["Bitmap"],
};

/** Calls whose arguments leave the node. */
const SENDING: ReadonlySet<string> = new Set(["sendPackage", "packageText", "seal", "stringify"]);

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, true);
}

function nameText(name: ts.Node | undefined): string {
  return name && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? name.text : "";
}

interface Import {
  /** Relative to `firmware`. */
  file: string;
  names: string[];
}

function importsOf(firmware: string, file: string, source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    const from = nameText(statement.moduleSpecifier);
    const target = path.posix.join(path.posix.dirname(file), `${from}.ts`);
    if (!from.startsWith(".") || !existsSync(path.join(firmware, target))) continue;
    const bindings = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : statement.exportClause;
    const named = bindings && (ts.isNamedImports(bindings) || ts.isNamedExports(bindings)) ? bindings.elements : [];
    found.push({ file: target, names: [...named].map((one) => nameText(one.propertyName ?? one.name)) });
  }
  return found;
}

function declaresType(source: ts.SourceFile, names: readonly string[]): boolean {
  return source.statements.some(
    (one) =>
      (ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one) || ts.isClassDeclaration(one)) &&
      names.includes(nameText(one.name)),
  );
}

/** The firmware's part of a bundle, and the sources that its types come from. */
function sourcesOf(firmware: string, modules: readonly string[]): Map<string, ts.SourceFile> {
  const found = new Map<string, ts.SourceFile>();
  const parsed = new Map<string, ts.SourceFile>();
  const sourceOf = (file: string): ts.SourceFile => {
    const source = parsed.get(file) ?? parse(path.join(firmware, file));
    parsed.set(file, source);
    return source;
  };
  const pending = modules.filter((module) => module.startsWith("firmware/")).map((module) => module.slice(9));
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (found.has(file)) continue;
    const source = sourceOf(file);
    found.set(file, source);
    for (const one of importsOf(firmware, file, source)) {
      if (!found.has(one.file) && declaresType(sourceOf(one.file), one.names)) pending.push(one.file);
    }
  }
  return found;
}

/** Fields that a package has; an object with a type and one of these is sent. */
const PACKAGE_FIELDS: ReadonlySet<string> = new Set(["dest", "routing", "from"]);

function isSent(literal: ts.ObjectLiteralExpression): boolean {
  const keys = literal.properties.map((property) => nameText(property.name));
  if (keys.includes("type") && keys.some((key) => PACKAGE_FIELDS.has(key))) return true;
  for (let node: ts.Node = literal; node.parent; node = node.parent) {
    if (!ts.isCallExpression(node.parent)) continue;
    const callee = node.parent.expression;
    const name = ts.isPropertyAccessExpression(callee) ? callee.name.text : nameText(callee);
    if (node !== callee && SENDING.has(name)) return true;
  }
  return false;
}

interface Names {
  internal: Set<string>;
  kept: Set<string>;
}

/** Whether a method of a literal is kept in flash, where its name is gone. */
function isCold(property: ts.PropertyAssignment): boolean {
  const body = ts.isFunctionExpression(property.initializer) ? property.initializer.body.statements[0] : undefined;
  return !!body && ts.isExpressionStatement(body) && nameText(body.expression) === "cold";
}

/** All types listed above, and what has no members of its own. */
const OWN: ReadonlySet<string> = new Set([
  ...Object.values(INTERNAL).flat(),
  ...["Bytes", "Tree", "Mesh", "Airwave", "Omit", "Pick", "Partial", "NetSocket"],
]);

/** A type that is neither one of the firmware's own nor made of them. */
function isForeign(type: ts.TypeNode | undefined): boolean {
  if (!type) return false;
  if (ts.isUnionTypeNode(type)) return type.types.some(isForeign);
  if (type.kind === ts.SyntaxKind.AnyKeyword || type.kind === ts.SyntaxKind.UnknownKeyword) return true;
  return ts.isTypeReferenceNode(type) && ts.isIdentifier(type.typeName) && !OWN.has(type.typeName.text);
}

/** Variables and parameters of a source that hold packages, manifests and the like. */
function foreignVariables(source: ts.SourceFile): Set<string> {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) || ts.isParameter(node)) {
      const cast = node.initializer && ts.isAsExpression(node.initializer) ? node.initializer.type : undefined;
      const call =
        node.initializer && ts.isCallExpression(node.initializer) ? node.initializer.expression.getText() : "";
      if (isForeign(node.type) || isForeign(cast) || /parse|readJson/i.test(call)) found.add(nameText(node.name));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  // Where a handler's parameter has its type from elsewhere.
  return found.add("pkg");
}

/** Names of the firmware's own types, and those that must stay. */
function survey(firmware: string, modules: readonly string[]): Names {
  const names: Names = { internal: new Set(), kept: new Set() };
  for (const [file, source] of sourcesOf(firmware, modules)) {
    const listed = new Set(INTERNAL[file] ?? []);
    const foreign = foreignVariables(source);
    const visit = (node: ts.Node): void => {
      if (ts.isLiteralTypeNode(node) || ts.isImportDeclaration(node)) return;
      if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node) || ts.isTypeLiteralNode(node)) {
        const type = ts.isTypeLiteralNode(node) ? "" : nameText(node.name);
        const to = listed.has(type) ? names.internal : names.kept;
        for (const member of node.members) {
          to.add(nameText(member.name));
          if (!ts.isConstructorDeclaration(member)) continue;
          for (const parameter of member.parameters) {
            if (ts.isParameterPropertyDeclaration(parameter, member)) to.add(nameText(parameter.name));
          }
        }
      }
      if (ts.isObjectLiteralExpression(node) && isSent(node)) {
        for (const property of node.properties) names.kept.add(nameText(property.name));
      }
      if (ts.isPropertyAccessExpression(node)) {
        const object = ts.isNonNullExpression(node.expression) ? node.expression.expression : node.expression;
        if (foreign.has(nameText(object))) names.kept.add(node.name.text);
      }
      if (ts.isPropertyAssignment(node) && isCold(node)) names.kept.add(nameText(node.name));
      // A name, or a list of them.
      if (ts.isStringLiteralLike(node) && /^[\w,]+$/.test(node.text)) {
        for (const word of node.text.split(",")) names.kept.add(word);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return names;
}

/** Every identifier and every word of a text in a source. */
function words(file: string, into: Set<string>): void {
  for (const word of readFileSync(file, "utf8").match(/[\w$]+/g) ?? []) into.add(word);
}

/**
 * Names that may be shortened in a bundle.
 * @param modules what the bundle is made of, relative to the root
 */
export function internalNames(root: string, modules: readonly string[]): string[] {
  const names = survey(path.join(root, "firmware"), modules);
  const foreign = new Set<string>();
  for (const module of modules) {
    const file = path.resolve(root, module);
    if (!module.startsWith("firmware/") && existsSync(file)) words(file, foreign);
  }
  return [...names.internal]
    .filter((name) => name.length > 2 && !names.kept.has(name) && !foreign.has(name) && !engineNames().has(name))
    .sort();
}
