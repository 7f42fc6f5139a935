//! Speed of a training step: `speed PRESET VOCAB BATCH STEPS THREADS`.
use regmix_model::*;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let vocab: usize = a[2].parse().unwrap();
    let batch: usize = a[3].parse().unwrap();
    let steps: usize = a[4].parse().unwrap();
    let threads: usize = a[5].parse().unwrap();
    let config = ModelConfig::preset(&a[1], vocab).unwrap();
    let t = Instant::now();
    std::thread::scope(|s| {
        for k in 0..threads {
            let config = config.clone();
            s.spawn(move || {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(1)
                    .use_current_thread()
                    .build()
                    .unwrap();
                pool.install(|| {
                    let device = Device::open(DeviceSpec::Cpu).unwrap();
                    let mut tr =
                        Trainer::new(&config, AdamWConfig::default(), k as u64, &device).unwrap();
                    let data: Vec<u32> = (0..batch * (config.context + 1))
                        .map(|i| ((i * i * 7919 + i / 3) % vocab) as u32)
                        .collect();
                    let mut last = 0.0;
                    for _ in 0..steps {
                        last = tr.step(&data, batch, 1e-3).unwrap().loss;
                    }
                    eprintln!("loss {last:.4}");
                });
            });
        }
    });
    let s = t.elapsed().as_secs_f64();
    let tokens = (threads * steps * batch * config.context) as f64;
    eprintln!(
        "{:.0} tok/s  {:.2} ms/step  {:.1} GFLOP/s",
        tokens / s,
        s / steps as f64 * 1e3,
        tokens * config.train_flops_per_token() / s / 1e9
    );
}
