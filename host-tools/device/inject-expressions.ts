/** What inject asks a board to compute: ES5 expressions for Espruino, without line breaks, with JSON as their value. */

/** [base64 of the name ("" for deleted records), size, flags, offset of the data in the area] of each record. */
export type BoardRecord = [string, number, number, number];

export function recordsExpression(address: number, bytes: number): string {
  return (
    "function(){" +
    `var f=require("Flash"),a=${address},r=[],h,s,n,i;` +
    `while(a+32<=${address + bytes}&&r.length<300){` +
    "h=f.read(32,a);s=h[0]|(h[1]<<8)|(h[2]<<16);" +
    "if(s===0||s===0xffffff)break;" +
    'n="";for(i=4;i<32&&h[i];i++)n+=String.fromCharCode(h[i]);' +
    `r.push([btoa(n),s,h[3],a+32-${address}]);` +
    "a+=32+((s+3)&-4)}return r}()"
  );
}

/** CRC-32 of pages of a file. */
export function pageSumsExpression(file: string, first: number, count: number, page: number): string {
  return (
    `function(){var s=require("Storage"),r=[],i;for(i=${first};i<${first + count};i++)` +
    `r.push(E.CRC32(s.read(${JSON.stringify(file)},i*${page},${page})));return r}()`
  );
}

/** Hex SHA-256 over the SHA-256 of pages of a file, given as [first, count] in order. */
export function treeHashExpression(file: string, ranges: readonly (readonly [number, number])[], page: number): string {
  return (
    'function(){var h=require("crypto").SHA256,s=require("Storage"),l="",t="",r,i;' +
    `${JSON.stringify(ranges)}.forEach(function(g){for(i=g[0];i<g[0]+g[1];i++)` +
    `l+=E.toString(new Uint8Array(h(s.read(${JSON.stringify(file)},i*${page},${page}))))});` +
    "r=new Uint8Array(h(l));for(i=0;i<32;i++)t+=(256+r[i]).toString(16).substr(1);return t}()"
  );
}

/** Hex SHA-256 of a small file, "" when there is none. */
export function fileHashExpression(file: string): string {
  return (
    `function(){var d=require("Storage").read(${JSON.stringify(file)}),t="",r,i;if(d===undefined)return"";` +
    'r=new Uint8Array(require("crypto").SHA256(d));' +
    "for(i=0;i<32;i++)t+=(256+r[i]).toString(16).substr(1);return t}()"
  );
}

export function flashWriteExpression(address: number, data: Uint8Array): string {
  return `require("Flash").write(atob("${Buffer.from(data).toString("base64")}"),${address})`;
}
