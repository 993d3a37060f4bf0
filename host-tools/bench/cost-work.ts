/** Pieces of work whose cost on a real interpreter is compared with what the virtual chip charges. */

export interface CostWork {
  name: string;
  /** Runs once, in the same function as the work. */
  setup: string;
  /** Runs `repeat` and 2 x `repeat` times in a for loop over `n`. */
  loop: string;
  /** 20 unless given. */
  repeat?: number;
  /** Interpreter variables that it takes, when they are more than a board has. */
  variables?: number;
  /** Lines that must surround the work, outside of its function. */
  outside?: string;
}

const DECLARE_50 = `var ${Array.from({ length: 50 }, (_, i) => `x${i}=${i}`).join(",")};`;

/** Code that is passed without being executed, some 500 characters as a minifier leaves them. */
const PASSED = "if(p){f.a=p+1;g(f.b,[1,2,3])}else{while(p<7){p++;q=h(p*2,'text')}}".repeat(7);

/** One construct each: what the cost table was fitted to. */
export const MICRO: CostWork[] = [
  { name: "empty loop", setup: "", loop: "" },
  { name: "local name", setup: "var a=1", loop: "a;a;a;a" },
  { name: "number", setup: "", loop: "1;2;3;4" },
  { name: "sum", setup: "var a=1,b=2", loop: "a+b;a+b;a+b;a+b" },
  { name: "assign", setup: "var a=1,b=2", loop: "a=b;a=b;a=b;a=b" },
  { name: "add to", setup: "var a=1,b=2", loop: "a+=b;a+=b" },
  { name: "mask and shift", setup: "var a=1,b=2", loop: "a=b>>>3&255;a=b<<2|1" },
  { name: "compare", setup: "var a=1,b=2", loop: "a<b;a===b;a>=3" },
  { name: "increment", setup: "var a=1", loop: "a++;a++;a--" },
  { name: "unary", setup: "var a=1", loop: "-a;!a;~a" },
  { name: "long names", setup: "var aLongName=1,anotherName=2", loop: "aLongName+anotherName;aLongName" },
  { name: "scope of 50", setup: `${DECLARE_50}var z=1`, loop: "z;z;z;z" },
  { name: "first of scope of 50", setup: `var z=1;${DECLARE_50}`, loop: "z;z;z;z" },
  { name: "outer scope", setup: "var a=1;function f(){return a}", loop: "f();f()" },
  {
    name: "two levels out",
    setup: "var a=1;function g(){return function(){return a+a+a}}var f=g()",
    loop: "f();f()",
  },
  { name: "call", setup: "function f(){}", loop: "f();f();f()" },
  { name: "call with 3", setup: "var a=1;function f(p,q,r){}", loop: "f(a,a,a);f(1,2,3)" },
  { name: "return", setup: "function f(p){return p}", loop: "f(1);f(2)" },
  { name: "property", setup: "var o={a:1,b:2,c:3,d:4}", loop: "o.a;o.d;o.b" },
  { name: "property set", setup: "var o={a:1,b:2}", loop: "o.a=3;o.b=4" },
  { name: "property of 20", setup: `var o={};for(var i=0;i<20;i++)o["k"+i]=i`, loop: "o.k19;o.k19;o.k0" },
  { name: "method", setup: "var o={f:function(p){return p}}", loop: "o.f(1);o.f(2)" },
  { name: "nested property", setup: "var o={a:{b:{c:1}}}", loop: "o.a.b.c;o.a.b.c" },
  { name: "map by text", setup: `var o={ka:1,kb:2},s="b"`, loop: `o["k"+s];o["k"+s]` },
  { name: "bytes read", setup: "var u=new Uint8Array(100)", loop: "u[3];u[50];u[99]" },
  { name: "bytes write", setup: "var u=new Uint8Array(100)", loop: "u[3]=1;u[50]=2" },
  { name: "words read", setup: "var u=new Uint16Array(100)", loop: "u[3];u[50];u[99]" },
  { name: "concat short", setup: `var s="abc",t="def"`, loop: "s+t;s+t" },
  { name: "append", setup: `var s="",t="0123456789"`, loop: "s+=t;if(s.length>50)s=''" },
  { name: "text literal", setup: "", loop: `"abc";"abcdefghijklmnopqrstuvwxyz"` },
  { name: "compare text", setup: `var s="abcdef"`, loop: `s==="abcdef";s=="b"` },
  { name: "if taken", setup: "var a=1", loop: "if(a)a=1;if(a){a=2}" },
  { name: "if not taken", setup: "var a=0", loop: "if(a)a=1+2+3+4+5+6+7+8;if(a){a=1+2+3+4+5+6+7+8}" },
  { name: "if else", setup: "var a=0", loop: "if(a)a=1+2+3+4+5;else a=0;if(!a)a=0;else a=1+2+3+4" },
  { name: "skipped block", setup: "var a=0", loop: "if(a){a=(1+2+3)*4;a++;f(a,a,a,a);if(a>3){a=7}else{a=8}}" },
  { name: "skipped block of 500", setup: "var a=0", loop: `if(a){${PASSED}}` },
  {
    name: "skipped expression",
    setup: "var a=0,f",
    loop: "a?f.b(a.c[3]+4,f(a,f.length-1),'text',a*2,[1,2]):0;a&&f(a,f.b(4),1,2)",
  },
  { name: "function of 500", setup: "var f", loop: `f=function(p){${PASSED}}` },
  { name: "early return of 500", setup: `function f(p){if(p)return 1;${PASSED}}`, loop: "f(1)" },
  { name: "inner return of 500", setup: `function f(p){while(p){if(p){return 1}}${PASSED}}`, loop: "f(1)" },
  { name: "and or", setup: "var a=1,b=0", loop: "a&&b;a||b;b&&a;b||a" },
  { name: "ternary", setup: "var a=1", loop: "a?2:3;!a?2:3" },
  { name: "switch", setup: "var a=3", loop: "switch(a){case 1:a=3;break;case 2:a=3;break;case 3:a=3;break}" },
  { name: "inner for", setup: "var i", loop: "for(i=0;i<5;i++);" },
  { name: "inner while", setup: "var i", loop: "i=5;while(i--){}" },
  { name: "inner while long", setup: "var i,a", loop: "i=9;while(i>0){i--;a=i+1;if(a>4){a=2}}" },
  { name: "continue", setup: "var i", loop: "for(i=0;i<5;i++){if(i<9)continue;i=i+1;i=i+2}" },
  { name: "break", setup: "var i", loop: "for(i=0;i<5;i++){if(i>2)break}" },
  { name: "early return", setup: "function f(p){if(p)return 1;var q=2;q=q+3;return q}", loop: "f(1);f(1)" },
  { name: "for in", setup: "var o={a:1,b:2,c:3},k", loop: "for(k in o)k" },
  { name: "array literal", setup: "", loop: "[1,2,3]" },
  { name: "object literal", setup: "", loop: "({a:1,b:2,c:3})" },
  { name: "array index", setup: "var l=[1,2,3,4,5,6,7,8]", loop: "l[0];l[7];l[3]" },
  { name: "function expression", setup: "var f", loop: "f=function(p){return p+1+2+3+4+5+6+7+8+9}" },
  { name: "throw and catch", setup: "", loop: "try{throw 1}catch(e){}" },
  { name: "try", setup: "var a", loop: "try{a=1}catch(e){a=2}" },
  { name: "typeof", setup: "var a=1", loop: `typeof a==="number"` },
  { name: "global function", setup: "", loop: "getTime();getTime()" },
  {
    name: "set text",
    setup: `var u=new Uint8Array(300),s="0123456789012345678901234567890123456789"`,
    loop: "u.set(s,9)",
  },
];

/** Text and bytes as they come from flash and sockets: in one piece, not in chains of variables. */
const DATA =
  `var s=E.toString(new Uint8Array(1024).fill(65)),t=E.toString(new Uint8Array(200).fill(66)),` +
  `u=new Uint8Array(1024),v=new Uint8Array(100),l=[1,2,3,4,5,6,7,8],o={a:1,b:2,c:3,d:4}`;

function native(loop: string, setup = "", repeat = 8): CostWork {
  return { name: loop.slice(0, 40), setup: DATA + (setup && `;${setup}`), loop, repeat };
}

const RECORD = `{id:123456,name:"node",temp:21.5,ok:true,list:[1,2,3],up:99999,heap:1234,rssi:-67}`;

/** Native functions, also those that work through bytes. */
export const NATIVES: CostWork[] = [
  native("s.length"),
  native("u.length"),
  native("l.length"),
  native("s.charCodeAt(900)"),
  native("s.substr(0,10)"),
  native("s.substr(500,200)"),
  native("s.slice(0,1000)"),
  native("s+t", "", 4),
  native("'ab'+t"),
  native("t.indexOf('x')"),
  native("q.split('.')", "var q='1.22.333.4'"),
  native("String.fromCharCode(65)"),
  native("String.fromCharCode(65,66,67,68)"),
  native("String.fromCharCode.apply(null,v)", "", 4),
  native("l.push(1)"),
  native("q.pop()", "var q=[];for(var i=0;i<90;i++)q.push(i)"),
  native("q.shift()", "var q=[];for(var i=0;i<90;i++)q.push(i)"),
  native("q.splice(3,1)", "var q=[];for(var i=0;i<90;i++)q.push(i)"),
  native("l.join()"),
  native("l.slice()"),
  native("l.concat(l)"),
  native("l.indexOf(8)"),
  native("l.forEach(function(a){})"),
  native("l.map(function(a){return a})"),
  native("l.sort(function(a,b){return a-b})", "", 4),
  native("q[i]", "var q=[];for(var i=0;i<60;i++)q.push(i);i=30"),
  native("q[k]", `var q={},k="k10";for(var i=0;i<20;i++)q["k"+i]=i`),
  native("Object.keys(o)"),
  native("u.subarray(3,9)"),
  native("u.set(v,500)"),
  native("u.set(u.subarray(0,50),500)"),
  native("u.set(t)"),
  native("v.fill(3)"),
  native("v.set(E.memoryArea(a,100))", "var a=E.getAddressOf(u,true)"),
  native("new Uint8Array(1000)"),
  native("new Uint8Array(b)", "var b=new ArrayBuffer(64)"),
  native("d.getUint16(3,1)", "var d=new DataView(new ArrayBuffer(64))"),
  native("d.setUint32(8,77,1)", "var d=new DataView(new ArrayBuffer(64))"),
  native("E.toString(v)"),
  native("E.toString(u)"),
  native("E.CRC32(s)"),
  native("E.CRC32(v)"),
  native("c.SHA256(s)", `var c=require("crypto")`),
  native("btoa(t)"),
  native("atob(q)", "var q=btoa(t)"),
  native("h.decompress(z)", `var h=require("heatshrink"),z=h.compress(s)`, 4),
  native("h.decompress(y)", `for(var i=0;i<500;i++)u[i]=i*i>>3;var h=require("heatshrink"),y=h.compress(u)`, 4),
  native("JSON.stringify(r)", `var r=${RECORD}`, 4),
  native("JSON.stringify(t)", "", 4),
  native("JSON.parse(j)", `var j=JSON.stringify(${RECORD})`, 4),
  native("JSON.parse(j)", "var j=JSON.stringify(t)", 4),
  native("Math.floor(3.5)"),
  native("Math.min(3,4)"),
  native("Math.random()"),
  native("getTime()"),
  native("E.hwRand()"),
  native("a.toString()", "var a=12345"),
  native("''+a", "var a=12345"),
  native("parseInt(a)", "var a='12345'"),
  native("clearTimeout(setTimeout(print,1000))"),
  native(`require("Storage")`),
  native("f.read(32,0x10000000)", `var f=require("Flash")`),
  native("f.write(s,0x10009000)", `var f=require("Flash")`),
  native("f.erasePage(0x10009000)", `var f=require("Flash")`),
];

/** Work of the kind a node does. */
export const REALISTIC: CostWork[] = [
  {
    name: "receive a datagram: header, hash, flash",
    setup: `
      var s="";for(var i=0;i<64;i++)s+="0123456789abcdef";s=E.toString(E.toUint8Array(s));
      var c=require("crypto"),f=require("Flash"),u8=new Uint8Array(64),have=0,total=64,st={base:4096,size:65536};
      function u16(b,o){return b.charCodeAt(o)|b.charCodeAt(o+1)<<8}
      function u32(b,o){return (b.charCodeAt(o)|b.charCodeAt(o+1)<<8|b.charCodeAt(o+2)<<16|b.charCodeAt(o+3)<<24)>>>0}
      function got(b){
        if(b.length<20||b.charCodeAt(0)!==48)return 1;
        var kind=b.charCodeAt(1),id=u32(b,2),no=u16(b,6)%total,len=u16(b,8),sum=u32(b,10);
        if(kind===7)return 2;
        if(len>70000||id===0)return 3;
        var k=no>>3,m=1<<(no&7);
        if(!(u8[k]&m)){have++;u8[k]|=m}
        var body=b.substr(16,1000);
        var h=new Uint8Array(c.SHA256(body));
        if(h[0]===sum&&h[1]===2)return 4;
        st.last=no;st.size=body.length+st.base;
        return 0}`,
    loop: "got(s)",
    repeat: 5,
  },
  {
    name: "encode 64 bytes from a table",
    setup: `
      var T=[["id",4],["seq",2],["up",4],["rssi",1],["heap",2],["ver",4],["temp",2],["volt",2],["lost",2],["sent",4],
             ["a",4],["b",4],["c",4],["d",4],["e",4],["f",4],["g",4],["h",4],["i",1]];
      var v={id:123456789,seq:77,up:99999,rssi:200,heap:1500,ver:65537,temp:215,volt:3300,lost:3,sent:4444,
             a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9};
      function enc(v){
        var u=new Uint8Array(64),o=0;
        for(var i=0;i<T.length;i++){
          var t=T[i],x=v[t[0]],n=t[1];
          for(var k=0;k<n;k++){u[o++]=x&255;x=x>>>8}
        }
        return E.toString(u)}`,
    loop: "enc(v)",
    repeat: 3,
  },
  {
    name: "Huffman decode of 32 symbols",
    setup: `
      var s=E.toString(new Uint8Array(1024).map(function(x,i){return i*i}));
      var tb=new Uint16Array(512),w=new Uint8Array(4096),bb=0,bc=0,ip=0,op=0;
      for(var i=0;i<512;i++)tb[i]=(i&255)<<4|(7+(i&1));
      function run(n){
        var b=bb,c=bc,p=ip,q=op,t=tb,e;
        while(n--){
          if(c<16){b|=(s.charCodeAt(p)|s.charCodeAt(p+1)<<8)<<c;c+=16;p+=2}
          e=t[b&511];
          b>>>=e&15;c-=e&15;
          if(e<65000){w[q++]=e>>4}
          else{q=0;e=0}
        }
        bb=b&65535;bc=c;ip=p%900;op=q%4000}`,
    loop: "run(32)",
    repeat: 3,
  },
  {
    name: "route a JSON package",
    setup: `
      var links=[{id:111,subs:[{nodeId:222,subs:[{nodeId:333}]}]},{id:444,subs:[{nodeId:555},{nodeId:666}]}];
      var me=999,t='{"type":9,"dest":666,"from":111,"msg":"hello world, this is a message"}';
      function has(l,id){for(var i=0;i<l.length;i++){if(l[i].nodeId===id||l[i].subs&&has(l[i].subs,id))return true}return false}
      function route(t){
        var p=JSON.parse(t);
        if(p.dest===me)return 1;
        for(var i=0;i<links.length;i++){
          var k=links[i];
          if(k.id===p.dest||has(k.subs,p.dest)){return JSON.stringify(p)+"\\0"}
        }
        return 0}`,
    loop: "route(t)",
    repeat: 3,
  },
];

/** The program that does the work `times` times; the same text runs on a board, on Linux and on the virtual chip. */
export function workProgram(work: CostWork, times: number): string {
  return `${work.outside ?? ""}(function(){${work.setup};for(var n=0;n<${times};n++){${work.loop}}})();\n`;
}
