namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public enum Reduction { None = 0, Mean = 1, Sum = 2 }

        public static partial class functional
        {
            public static Tensor linear(Tensor input, Tensor weight, Tensor? bias = null) =>
                Operators.linear.Call(input, weight, bias);

            public static Tensor relu(Tensor x) => x.relu();
            public static Tensor sigmoid(Tensor x) => x.sigmoid();
            public static Tensor tanh(Tensor x) => x.tanh();
            public static Tensor logsigmoid(Tensor input) => Operators.log_sigmoid.Call(input);

            public static Tensor leaky_relu(Tensor input, double negative_slope = 0.01) =>
                Operators.leaky_relu.Call(input, negative_slope);

            public static Tensor elu(Tensor x, double alpha = 1.0) => Operators.elu.Call(x, alpha);

            public static Tensor softplus(Tensor x, double beta = 1.0, double threshold = 20.0) =>
                Operators.softplus.Call(x, beta, threshold);

            public static Tensor softmax(Tensor x, long dim, ScalarType? dtype = null) =>
                Operators.softmax_int.Call(x, dim, dtype);

            public static Tensor log_softmax(Tensor x, long dim, ScalarType? dtype = null) =>
                Operators.log_softmax_int.Call(x, dim, dtype);

            public static Tensor one_hot(Tensor x, long num_classes = -1) => Operators.one_hot.Call(x, num_classes);

            public static Tensor binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight = null,
                Reduction reduction = Reduction.Mean, Tensor? pos_weights = null) =>
                Operators.binary_cross_entropy_with_logits.Call(input, target, weight, pos_weights, (long)reduction);

            public static Tensor cross_entropy(Tensor input, Tensor target, Tensor? weight = null, long ignore_index = -100,
                Reduction reduction = Reduction.Mean) =>
                Operators.cross_entropy_loss.Call(input, target, weight, (long)reduction, ignore_index);

            public static Tensor conv2d(Tensor input, Tensor weight, Tensor? bias = null, long[]? strides = null,
                long[]? padding = null, long[]? dilation = null, long groups = 1) =>
                Operators.conv2d.Call(input, weight, bias, strides ?? [1L], padding ?? [0L], dilation ?? [1L], groups);

            public static Tensor conv_transpose2d(Tensor input, Tensor weight, Tensor? bias = null, long[]? stride = null,
                long[]? padding = null, long[]? output_padding = null, long[]? dilation = null, long groups = 1) =>
                Operators.conv_transpose2d_input.Call(input, weight, bias, stride ?? [1L], padding ?? [0L],
                    output_padding ?? [0L], groups, dilation ?? [1L]);

            public static Tensor batch_norm(Tensor input, Tensor running_mean, Tensor running_var, Tensor? weight = null,
                Tensor? bias = null, bool training = false, double momentum = 0.1, double eps = 1e-5) =>
                Operators.batch_norm.Call(input, weight, bias, running_mean, running_var, training, momentum, eps, true);

            public static Tensor pixel_shuffle(Tensor x, long upscale_factor) =>
                Operators.pixel_shuffle.Call(x, upscale_factor);

            public static Tensor avg_pool2d(Tensor input, long[] kernel_size, long[]? strides = null, long[]? padding = null) =>
                Operators.avg_pool2d.Call(input, kernel_size, strides ?? kernel_size, padding ?? [0L]);

            public static Tensor max_pool2d(Tensor input, long[] kernel_size, long[]? strides = null, long[]? padding = null) =>
                Operators.max_pool2d.Call(input, kernel_size, strides ?? kernel_size, padding ?? [0L]);
        }
    }
}
