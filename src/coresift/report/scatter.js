"use strict";
(function () {
  const block = document.getElementById("scatter-data");
  const frame = document.querySelector(".scatter");
  if (!block || !frame) return;
  const data = JSON.parse(block.textContent);
  const total = data.ids.length, first = data.unchosen;
  const tip = document.getElementById("scatter-tip");
  const filter = document.getElementById("scatter-source");
  const counter = document.getElementById("scatter-count");
  const heaviest = Math.max.apply(null, data.weights.concat([1e-9]));
  const MARGIN = 18, REACH = 16, SMALL = 2.6, LARGE = 13;
  let active = -1, source = "";

  frame.hidden = false;

  function radius(point) {
    if (point < first) return 1.6;
    return Math.max(SMALL, LARGE * Math.sqrt(data.weights[point - first] / heaviest));
  }
  function shown(point) {
    return source === "" || data.sources[point] === source;
  }
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  const charts = Array.from(document.querySelectorAll("canvas[data-space]")).map(function (canvas) {
    const points = data.spaces[Number(canvas.dataset.space)].points;
    let left = Infinity, right = -Infinity, low = Infinity, high = -Infinity;
    points.forEach(function (p) {
      if (!p) return;
      left = Math.min(left, p[0]); right = Math.max(right, p[0]);
      low = Math.min(low, p[1]); high = Math.max(high, p[1]);
    });
    return { canvas: canvas, points: points, left: left, right: right, low: low, high: high, xy: [] };
  });

  function place(chart) {
    const size = chart.canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    chart.size = size;
    chart.canvas.width = chart.canvas.height = Math.round(size * ratio);
    chart.pen = chart.canvas.getContext("2d");
    chart.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const span = Math.max(chart.right - chart.left, chart.high - chart.low) || 1;
    const scale = (size - 2 * MARGIN) / span;
    const midX = (chart.left + chart.right) / 2, midY = (chart.low + chart.high) / 2;
    chart.xy = chart.points.map(function (p) {
      return p && [size / 2 + (p[0] - midX) * scale, size / 2 - (p[1] - midY) * scale];
    });
  }

  function dot(chart, point, size) {
    const p = chart.xy[point];
    if (!p) return;
    chart.pen.beginPath();
    chart.pen.arc(p[0], p[1], size, 0, 2 * Math.PI);
  }

  function draw(chart) {
    const pen = chart.pen, chosen = colour("--chosen"), pool = colour("--pool"), card = colour("--card");
    pen.clearRect(0, 0, chart.size, chart.size);
    [false, true].forEach(function (front) {
      for (let i = 0; i < total; i++) {
        if (shown(i) !== front) continue;
        const picked = i >= first;
        pen.globalAlpha = front ? (picked ? 0.68 : 0.75) : 0.12;
        pen.fillStyle = picked ? chosen : pool;
        dot(chart, i, radius(i));
        pen.fill();
        if (picked && front) { pen.globalAlpha = 0.9; pen.lineWidth = 1; pen.strokeStyle = card; pen.stroke(); }
      }
    });
    pen.globalAlpha = 1;
    if (active >= 0 && chart.xy[active]) {
      dot(chart, active, radius(active) + 3.5);
      pen.lineWidth = 2.2;
      pen.strokeStyle = colour("--weight");
      pen.stroke();
    }
  }

  function drawAll() { charts.forEach(draw); }
  function layout() { charts.forEach(place); drawAll(); }

  function line(parent, tag, text, name) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (name) element.className = name;
    parent.appendChild(element);
    return element;
  }

  function tell(point) {
    active = point;
    tip.textContent = "";
    if (point < 0) {
      line(tip, "p", "Nothing selected yet.", "hint");
    } else {
      const head = line(tip, "p", "", "head");
      if (point >= first) {
        line(head, "b", "weight " + data.weights[point - first]);
        line(head, "span", "pick " + (point - first + 1));
      } else {
        line(head, "span", "not chosen");
      }
      if (data.sources[point]) line(head, "bdi", data.sources[point]);
      line(head, "bdi", data.ids[point]);
      line(tip, "p", data.texts[point] || "(no text)");
    }
    drawAll();
  }

  function nearest(chart, x, y) {
    let best = -1, least = REACH;
    for (let i = 0; i < total; i++) {
      const p = chart.xy[i];
      if (!p || !shown(i)) continue;
      const gap = Math.hypot(p[0] - x, p[1] - y) - (i >= first ? radius(i) : 0);
      if (gap < least) { least = gap; best = i; }
    }
    return best;
  }

  function pointed(chart, event) {
    const box = chart.canvas.getBoundingClientRect();
    const point = nearest(chart, event.clientX - box.left - 1, event.clientY - box.top - 1);
    if (point >= 0 && point !== active) tell(point);
  }

  function step(by) {
    let point = active >= first ? active : by > 0 ? first - 1 : total;
    for (let tries = 0; tries < total - first; tries++) {
      point += by;
      if (point >= total) point = first;
      if (point < first) point = total - 1;
      if (shown(point)) return tell(point);
    }
  }

  charts.forEach(function (chart) {
    chart.canvas.addEventListener("pointermove", function (event) { pointed(chart, event); });
    chart.canvas.addEventListener("pointerdown", function (event) { pointed(chart, event); });
    chart.canvas.addEventListener("keydown", function (event) {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (by) { event.preventDefault(); step(by); }
    });
  });

  function countShown() {
    let pool = 0, picks = 0;
    for (let i = 0; i < total; i++) if (shown(i)) { if (i >= first) picks++; else pool++; }
    counter.textContent = picks.toLocaleString("en") + " chosen, " + pool.toLocaleString("en") + " not chosen";
  }

  const names = Array.from(new Set(data.sources)).filter(Boolean).sort();
  names.forEach(function (name) { line(filter, "option", name).value = name; });
  filter.parentElement.hidden = names.length < 2;
  filter.addEventListener("change", function () { source = filter.value; countShown(); tell(-1); });

  new ResizeObserver(layout).observe(frame);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.addEventListener("beforeprint", layout);
  countShown();
  charts.forEach(place);
  const start = data.weights.indexOf(heaviest);
  tell(start < 0 ? -1 : first + start);
})();
