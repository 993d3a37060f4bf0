import { checkSubset } from "../../host-tools/build/subset-check";

const REFUSED: readonly [code: string, script: string, offset: number][] = [
  ["syntax", "var a=()=>1", 7],
  ["syntax", "let a=1", 4],
  ["syntax", "f(...a)", 2],
  ["label", "a:for(;;)break a", 0],
  ["default-not-last", "switch(1){default:case 2:}", 10],
  ["reserved-name", "var of=1", 4],
  ["reserved-name", "(function(static){})()", 10],
  ["regex-dot", "var a=/b.c/", 8],
  ["regex-quantifier", "var a=/bc?/", 9],
  ["wide-character", 'var a="\\u2026"', 6],
  ["wide-character", 'var a="\u00e9"', 7],
  ["array-length", "var a=[];a.length=0", 9],
  ["missing-global", "new Map", 4],
  ["missing-member", "Math.imul(1,2)", 0],
  ["missing-member", 'Math["imul"](1,2)', 0],
  ["prototype-access", "Array.prototype.slice", 0],
  ["unknown-global", "(function(){return elsewhere})()", 19],
  ["use-before-definition", "(function(){print(a);var a=1})()", 18],
];

test.each(REFUSED)("%s: %s", (code, script, offset) => {
  expect(checkSubset(script)).toMatchObject([{ code, offset }]);
});

test.each([
  '(function(){var a=require("Storage"),b={of:1};function c(d){return d.of+e(c)}function e(){return a}c(b)})()',
  "(function(Math){return Math.imul})({})",
  "(function(){i=0;var i;print(i)})()",
  "try{E.reboot()}catch(e){print(e)}setTimeout(function n(){n()},1)",
])("accepts %s", (script) => expect(checkSubset(script)).toEqual([]));
