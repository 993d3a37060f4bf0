/** Graphs over time: uPlot on a canvas, coloured like the page, with words for those who cannot see them. */
import uPlot from "uplot";
import { h, type VNode } from "./dom";
import { number } from "./format";

export interface Series {
  label: string;
  unit: string;
  values: (number | null)[];
  /** CSS variable of its colour, "--series-1". */
  color: string;
}

export interface ChartOptions {
  key: string;
  title: string;
  /** Seconds on the browser's clock. */
  times: number[];
  series: Series[];
  from: number;
  to: number;
  /** The least that the value axis shows. */
  floor?: number;
  onZoom(from: number, to: number): void;
}

const sync = uPlot.sync("time");

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function make(element: HTMLElement, options: ChartOptions): uPlot {
  const text = css("--muted");
  const grid = { stroke: css("--line"), width: 1 };
  const axis = { stroke: text, font: "12px system-ui, sans-serif", grid, ticks: { ...grid, size: 4 } };
  return new uPlot(
    {
      width: Math.max(200, element.clientWidth),
      height: 180,
      padding: [10, 12, 0, 0],
      legend: { live: true },
      cursor: { sync: { key: sync.key }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      scales: {
        x: { time: true, range: () => [options.from, options.to] },
        y: {
          range: (_plot, low, high) => {
            if (low === null || high === null || !Number.isFinite(low)) return [0, 1];
            const room = Math.max((high - low) * 0.12, Math.abs(high) * 0.01, 0.5);
            const bottom = low - room;
            return [options.floor !== undefined ? Math.max(options.floor, bottom) : bottom, high + room];
          },
        },
      },
      axes: [
        { ...axis, space: 70 },
        { ...axis, size: 56, values: (_plot, ticks) => ticks.map((tick) => number(tick)) },
      ],
      series: [
        { label: "Time", value: (_plot, at) => (at === null ? "–" : new Date(at * 1000).toLocaleString()) },
        ...options.series.map(({ label, unit, color }) => ({
          label,
          stroke: css(color),
          width: 1.75,
          fill: options.series.length === 1 ? `${css(color)}22` : undefined,
          points: { show: options.times.length < 40 },
          spanGaps: false,
          fillTo: (plot: uPlot) => plot.scales.y?.min ?? 0,
          value: (_plot: uPlot, value: number | null) => (value === null ? "–" : `${number(value)} ${unit}`),
        })),
      ],
      hooks: {
        setSelect: [
          (plot) => {
            if (plot.select.width < 8) return;
            const from = plot.posToVal(plot.select.left, "x");
            const to = plot.posToVal(plot.select.left + plot.select.width, "x");
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            options.onZoom(from, to);
          },
        ],
      },
    },
    [options.times, ...options.series.map(({ values }) => values)] as uPlot.AlignedData,
    element,
  );
}

function summary({ title, series }: ChartOptions): string {
  const parts = series.map(({ label, unit, values }) => {
    const known = values.filter((value): value is number => value !== null);
    if (known.length === 0) return `${label}: no values`;
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    return `${label}: from ${number(Math.min(...known))} to ${number(Math.max(...known))} ${unit}, mean ${number(mean)}`;
  });
  return `${title}. ${parts.join(". ")}.`;
}

interface Mounted extends HTMLElement {
  plot?: uPlot;
  options?: ChartOptions;
  observer?: ResizeObserver;
}

/** Wide gaps between points are gaps of knowledge: the line breaks there. */
export function withGaps(
  times: number[],
  columns: (number | null)[][],
  resolution: number,
): { times: number[]; columns: (number | null)[][] } {
  const steps = times
    .slice(1)
    .map((at, i) => at - times[i]!)
    .sort((a, b) => a - b);
  const usual = Math.max(resolution, steps[steps.length >> 1] ?? 60);
  const out: number[] = [];
  const values: (number | null)[][] = columns.map(() => []);
  times.forEach((at, i) => {
    const last = out[out.length - 1];
    if (last !== undefined && at - last > usual * 3.5) {
      out.push(last + usual);
      for (const column of values) column.push(null);
    }
    out.push(at);
    columns.forEach((column, c) => values[c]!.push(column[i] ?? null));
  });
  return { times: out, columns: values };
}

export function chart(options: ChartOptions): VNode {
  const draw = (element: Mounted): void => {
    element.plot?.destroy();
    element.options = options;
    element.plot = make(element, options);
  };
  return h(
    "figure",
    { class: "chart", key: options.key },
    h("figcaption", null, options.title, h("span", { class: "hidden" }, summary(options))),
    h("div", {
      class: "plot",
      hook: {
        mount(element: Mounted) {
          // Its width is known when it stands in the page.
          requestAnimationFrame(() => element.isConnected && draw(element));
          element.observer = new ResizeObserver(() =>
            element.plot?.setSize({ width: element.clientWidth, height: 180 }),
          );
          element.observer.observe(element);
        },
        update(element: Mounted) {
          const old = element.options;
          if (!old || (old.times === options.times && old.from === options.from && old.to === options.to)) return;
          draw(element);
        },
        unmount(element: Mounted) {
          element.observer?.disconnect();
          element.plot?.destroy();
        },
      },
    }),
  );
}

/** After a change of theme: canvases keep their colours otherwise. */
export function repaintCharts(): void {
  for (const element of document.querySelectorAll<Mounted>(".plot")) {
    if (!element.plot || !element.options) continue;
    element.plot.destroy();
    element.plot = make(element, element.options);
  }
}
