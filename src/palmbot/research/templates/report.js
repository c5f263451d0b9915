"use strict";
// Draws the report's chart from the JSON in the page. Colours come from the page's CSS variables.
(() => {
  const library = window.LightweightCharts;
  if (!library) return; // the page then keeps its still picture and says how to get the chart

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const unit = 10 ** data.digits;
  const holder = byId("chart");
  const rows = [...document.querySelectorAll("#trades tr[data-trade]")];
  const SIDE = 0, ENTRY = 1, EXIT = 2, ENTRY_PRICE = 3, EXIT_PRICE = 4, STOP = 5, TARGET = 6, RESULT = 7, REASON = 8;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const grouped = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" })
      .replace("-", "\u2212"); // "negative" leaves the sign off a rounded zero
  const price = (value) => value.toLocaleString("en-US", { minimumFractionDigits: data.digits, maximumFractionDigits: 5 });
  const when = (candle) => {
    const text = new Date(data.t[candle] * 1000).toISOString();
    return data.intraday ? text.slice(0, 16).replace("T", " ") : text.slice(0, 10);
  };

  const candles = data.t.map((time, i) => ({
    time, open: data.o[i] / unit, high: data.h[i] / unit, low: data.l[i] / unit, close: data.c[i] / unit,
  }));
  const line = (values) => data.t.map((time, i) => (values[i] === null ? { time } : { time, value: values[i] }));

  byId("still").hidden = true;
  for (const id of ["chart", "tools", "key", "choose"]) byId(id).hidden = data.trades.length === 0 && id !== "chart";
  byId("trades").classList.add("live");

  const chart = library.createChart(holder, {
    autoSize: true,
    layout: { attributionLogo: true, fontSize: 11, panes: { enableResize: true } },
    timeScale: { minBarSpacing: 0.02, rightOffset: 3, timeVisible: data.intraday, secondsVisible: false, borderVisible: false },
    rightPriceScale: { borderVisible: false, minimumWidth: 74 },
    crosshair: { mode: library.CrosshairMode.Normal },
    localization: { locale: "en-US", dateFormat: "yyyy-MM-dd" },
  });
  const quiet = { priceLineVisible: false, lastValueVisible: false, crosshairMarkerRadius: 3 };
  const decimals = (digits) => ({ type: "price", precision: digits, minMove: 10 ** -digits });
  const custom = (formatter, minMove) => ({ type: "custom", formatter, minMove });

  const priceSeries = chart.addSeries(library.CandlestickSeries, { ...quiet, priceFormat: decimals(data.digits) }, 0);
  priceSeries.setData(candles);
  const equity = chart.addSeries(library.BaselineSeries, {
    ...quiet, lineWidth: 2, baseValue: { type: "price", price: data.startBalance },
    priceFormat: custom((value) => grouped(value, 0), 1),
  }, 1);
  equity.setData(line(data.equity));
  const fall = chart.addSeries(library.AreaSeries, {
    ...quiet, lineWidth: 1, invertFilledArea: true, priceFormat: custom((value) => `${grouped(value, 1)} %`, 0.1),
  }, 2);
  fall.setData(line(data.fall.map((value) => (value === null ? null : -value))));
  const rsi = chart.addSeries(library.LineSeries, {
    ...quiet, lineWidth: 1, priceFormat: decimals(0),
    autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 100 } }),
  }, 3);
  rsi.setData(line(data.rsi));

  const panes = chart.panes();
  [46, 24, 15, 15].forEach((share, i) => panes[i].setStretchFactor(share));
  const titles = [[1, `Equity, ${data.currency}`], [2, "Drawdown"], [3, "RSI"]].map(([pane, text]) =>
    [text, library.createTextWatermark(panes[pane], { horzAlign: "left", vertAlign: "top", lines: [] })]);
  const rsiLevels = data.rsiLevels.map((level) => rsi.createPriceLine({
    price: level, lineWidth: 1, lineStyle: library.LineStyle.Dashed, axisLabelVisible: false, title: "", color: "gray",
  }));
  const markers = library.createSeriesMarkers(priceSeries, []);

  const CROWD = 12; // pixels a trade; with fewer, arrows would hide the price
  const visible = () => {
    const range = chart.timeScale().getVisibleLogicalRange() ?? { from: 0, to: candles.length };
    return data.trades.filter((trade) => trade[EXIT] >= range.from && trade[ENTRY] <= range.to);
  };
  const crowded = (seen) => seen.length * CROWD > chart.timeScale().width();

  // Every trade as a line from entry to exit; the chosen one with its risk and reward as boxes.
  const painter = (zOrder, paint) => ({
    refresh: () => {},
    attached({ requestUpdate }) { this.refresh = requestUpdate; },
    paneViews() {
      const draw = (target) => target.useMediaCoordinateSpace(({ context }) => paint(context));
      return [{ zOrder: () => zOrder, renderer: () => ({ draw }) }];
    },
  });
  const x = (candle) => chart.timeScale().logicalToCoordinate(candle);
  const y = (value) => priceSeries.priceToCoordinate(value);
  let chosen = -1;
  const boxes = painter("bottom", (context) => {
    if (chosen < 0) return;
    const trade = data.trades[chosen];
    const half = Math.max(2, chart.timeScale().options().barSpacing / 2);
    const left = x(trade[ENTRY]) - half;
    const fill = (level, name) => {
      context.fillStyle = colour(name);
      context.fillRect(left, y(trade[ENTRY_PRICE]), x(trade[EXIT]) + half - left, y(level) - y(trade[ENTRY_PRICE]));
    };
    if (trade[STOP]) fill(trade[STOP], "tint-down");
    if (trade[TARGET]) fill(trade[TARGET], "tint-up");
  });
  const paths = painter("top", (context) => {
    const seen = visible();
    const radius = crowded(seen) ? 2.5 : 3.5;
    const [up, down, entry, ring] = ["up", "down", "entry", "panel"].map(colour);
    const dot = (candle, value, fill) => {
      context.beginPath();
      context.arc(x(candle), y(value), radius, 0, 2 * Math.PI);
      context.fillStyle = fill;
      context.fill();
      if (radius < 3) return;
      context.strokeStyle = ring;
      context.lineWidth = 1;
      context.stroke();
    };
    for (const trade of seen) {
      const tone = trade[RESULT] > 0 ? up : down;
      context.beginPath();
      context.moveTo(x(trade[ENTRY]), y(trade[ENTRY_PRICE]));
      context.lineTo(x(trade[EXIT]), y(trade[EXIT_PRICE]));
      context.strokeStyle = tone;
      context.lineWidth = 1.5;
      context.stroke();
      if (crowded(seen)) dot(trade[ENTRY], trade[ENTRY_PRICE], entry);
      dot(trade[EXIT], trade[EXIT_PRICE], tone);
    }
  });
  priceSeries.attachPrimitive(boxes);
  priceSeries.attachPrimitive(paths);

  const mark = () => {
    const seen = visible();
    markers.setMarkers(crowded(seen) ? [] : seen.map((trade) => ({
      time: data.t[trade[ENTRY]], color: colour("entry"), size: 1,
      position: trade[SIDE] > 0 ? "belowBar" : "aboveBar", shape: trade[SIDE] > 0 ? "arrowUp" : "arrowDown",
    })));
  };

  const dress = () => {
    const [up, down, muted, curve] = ["up", "down", "muted", "curve"].map(colour);
    chart.applyOptions({
      layout: {
        background: { type: "solid", color: colour("panel") }, textColor: muted,
        fontFamily: getComputedStyle(document.body).fontFamily, panes: { separatorColor: colour("line") },
      },
      crosshair: { vertLine: { labelBackgroundColor: colour("label") }, horzLine: { labelBackgroundColor: colour("label") } },
      grid: { vertLines: { color: colour("grid") }, horzLines: { color: colour("grid") } },
    });
    // Candles stay grey, so that colour on the price means one thing: a trade.
    const candle = colour("candle");
    priceSeries.applyOptions({
      upColor: colour("panel"), downColor: candle, borderUpColor: candle, borderDownColor: candle,
      wickUpColor: candle, wickDownColor: candle,
    });
    equity.applyOptions({
      topLineColor: up, topFillColor1: `${up}44`, topFillColor2: `${up}0a`,
      bottomLineColor: down, bottomFillColor1: `${down}0a`, bottomFillColor2: `${down}44`,
    });
    fall.applyOptions({ lineColor: down, topColor: `${down}0a`, bottomColor: `${down}55` });
    rsi.applyOptions({ color: curve });
    rsiLevels.forEach((level) => level.applyOptions({ color: muted }));
    titles.forEach(([text, title]) => title.applyOptions({ lines: [{ text, color: muted, fontSize: 11 }] }));
    mark();
    boxes.refresh();
  };

  const inside = (i) => Math.min(Math.max(Math.round(i), 0), candles.length - 1);
  const atRest = () => (chosen < 0 ? candles.length - 1 : data.trades[chosen][EXIT]);
  const legend = byId("legend");
  const describe = (i) => {
    const parts = [["", when(i)], ["O", price(candles[i].open)], ["H", price(candles[i].high)], ["L", price(candles[i].low)], ["C", price(candles[i].close)]];
    if (data.equity[i] !== null) parts.push(["Equity", grouped(data.equity[i], data.moneyDigits)]);
    if (data.fall[i] !== null) parts.push(["Drawdown", `${grouped(-data.fall[i], 1)} %`]);
    if (data.rsi[i] !== null) parts.push(["RSI", grouped(data.rsi[i], 1)]);
    legend.replaceChildren(...parts.map(([name, value]) => {
      const part = document.createElement("span");
      const strong = document.createElement("b");
      strong.textContent = value;
      part.append(name ? `${name} ` : "", strong);
      return part;
    }));
  };
  chart.subscribeCrosshairMove((event) => {
    describe(event.logical === undefined ? atRest() : inside(event.logical));
  });
  chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
    if (!range) return;
    byId("range").textContent = `${when(inside(range.from))} to ${when(inside(range.to))}`;
    mark();
  });

  let levels = [];
  const choose = (index) => {
    const trade = data.trades[index];
    chosen = index;
    levels.forEach((level) => priceSeries.removePriceLine(level));
    const lines = [["entry", trade[ENTRY_PRICE], "entry"], ["stop", trade[STOP], "down"], ["target", trade[TARGET], "up"]];
    levels = lines.filter(([, value]) => value).map(([title, value, name]) => priceSeries.createPriceLine({
      price: value, title, color: colour(name), lineWidth: 1, lineStyle: library.LineStyle.Dashed, axisLabelVisible: true,
    }));
    boxes.refresh();
    describe(atRest());
    const margin = Math.max(25, trade[EXIT] - trade[ENTRY]);
    chart.timeScale().setVisibleLogicalRange({ from: trade[ENTRY] - margin, to: trade[EXIT] + margin });
    rows.forEach((row) => {
      const mine = Number(row.dataset.trade) === index;
      row.classList.toggle("chosen", mine);
      row.querySelector("button").setAttribute("aria-pressed", String(mine));
    });
    const known = lines.filter(([, value]) => value).map(([title, value]) => `${title} ${price(value)}`);
    const picked = byId("picked");
    picked.hidden = false;
    picked.textContent = [
      `Trade ${index + 1} of ${data.trades.length}: ${trade[SIDE] > 0 ? "long" : "short"}`, when(trade[ENTRY]), known.join(", "),
      `${trade[REASON]} ${price(trade[EXIT_PRICE])} on ${when(trade[EXIT])}`,
      `${data.currency} ${grouped(trade[RESULT], data.moneyDigits)}`,
    ].join(" \u00b7 ");
  };
  const whole = () => {
    chosen = -1;
    levels.forEach((level) => priceSeries.removePriceLine(level));
    levels = [];
    boxes.refresh();
    describe(atRest());
    byId("picked").hidden = true;
    rows.forEach((row) => {
      row.classList.remove("chosen");
      row.querySelector("button").setAttribute("aria-pressed", "false");
    });
    chart.timeScale().fitContent();
  };

  rows.forEach((row) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = row.cells[0].textContent;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Show trade ${button.textContent} in the chart`);
    row.cells[0].replaceChildren(button);
    row.addEventListener("click", () => {
      choose(Number(row.dataset.trade));
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      holder.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
    });
  });
  const count = data.trades.length;
  byId("previous").addEventListener("click", () => choose(chosen < 0 ? count - 1 : (chosen + count - 1) % count));
  byId("next").addEventListener("click", () => choose((chosen + 1) % count));
  byId("whole").addEventListener("click", whole);

  dress();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { dress(); if (chosen >= 0) choose(chosen); });
  describe(atRest());
  chart.timeScale().fitContent();
})();
