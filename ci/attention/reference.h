// Causal attention with grouped queries and its gradients by the formulas, in double
// precision: one query of one head after the other.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

struct Shape {
    size_t batch, tokens, heads, kv_heads;
    float query_gain;  // standard deviation of the queries; scores grow with it

    size_t rows() const { return batch * tokens; }
    size_t width() const { return (heads + 2 * kv_heads) * HEAD_DIM; }
    size_t out_width() const { return heads * HEAD_DIM; }
    float scale() const { return 1 / sqrtf(HEAD_DIM); }
};

struct Reference {
    Shape shape;
    std::vector<double> qkv, dout;              // given
    std::vector<double> out, lse, delta, dqkv;  // computed

    Reference(const Shape& shape, std::vector<double> qkv, std::vector<double> dout)
        : shape(shape),
          qkv(std::move(qkv)),
          dout(std::move(dout)),
          out(shape.rows() * shape.out_width()),
          lse(shape.rows() * shape.heads),
          delta(lse.size()),
          dqkv(shape.rows() * shape.width()) {
        for (size_t sequence = 0; sequence < shape.batch; ++sequence)
            for (size_t head = 0; head < shape.heads; ++head)
                for (size_t query = 0; query < shape.tokens; ++query) attend(sequence, head, query);
    }

   private:
    static double dot(const double* x, const double* y) {
        double sum = 0;
        for (size_t d = 0; d < HEAD_DIM; ++d) sum += x[d] * y[d];
        return sum;
    }

    static void add(double* sum, double factor, const double* x) {
        for (size_t d = 0; d < HEAD_DIM; ++d) sum[d] += factor * x[d];
    }

    void attend(size_t sequence, size_t head, size_t query) {
        size_t width = shape.width(), kv_head = head / (shape.heads / shape.kv_heads);
        size_t first = sequence * shape.tokens;
        size_t q = (first + query) * width + head * HEAD_DIM;
        size_t k = first * width + (shape.heads + kv_head) * HEAD_DIM;
        size_t v = k + shape.kv_heads * HEAD_DIM;
        size_t o = (first + query) * shape.out_width() + head * HEAD_DIM;
        size_t term = (sequence * shape.heads + head) * shape.tokens + query;

        std::vector<double> p(query + 1);
        double total = 0;
        for (size_t key = 0; key <= query; ++key) {
            p[key] = exp(dot(&qkv[q], &qkv[k + key * width]) * shape.scale());
            total += p[key];
        }
        lse[term] = log(total);
        for (size_t key = 0; key <= query; ++key) {
            p[key] /= total;
            add(&out[o], p[key], &qkv[v + key * width]);
        }
        delta[term] = dot(&out[o], &dout[o]);
        for (size_t key = 0; key <= query; ++key) {
            size_t row = key * width;
            double ds = p[key] * (dot(&dout[o], &qkv[v + row]) - delta[term]) * shape.scale();
            add(&dqkv[q], ds, &qkv[k + row]);
            add(&dqkv[k + row], ds, &qkv[q]);
            add(&dqkv[v + row], p[key], &dout[o]);
        }
    }
};
