"""Writing models: variables, their scopes and initial values, gradients. In the words of TensorFlow 1."""
